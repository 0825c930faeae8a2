"""A scan without its skull, as brain extraction leaves it: here a little fluid around the brain, there none."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

MARGIN_MM = (0.0, 4.0)  # of fluid that stays around the brain
CLOSING_MM = 8.0  # fills ventricles and fissures


def strip(
    scan: NDArray[np.float32], fractions: NDArray[np.float32], spacing_mm: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return a scan that is 0 outside the brain.

    Args:
        scan: (D, H, W), float32, [0, 1].
        fractions: (3, D, H, W), float32, [0, 1]: CSF, grey and white matter.
        spacing_mm: Of the voxels.
        rng: For how tight the extraction is.

    Returns:
        (D, H, W), float32, its brightest voxel 1.
    """
    tissue = fractions[1:].sum(0) > 0.5
    room = int(np.ceil((MARGIN_MM[1] + CLOSING_MM) / spacing_mm)) + 1
    padded = np.pad(tissue, room)
    reach_mm = rng.uniform(*MARGIN_MM) + CLOSING_MM
    grown = ndimage.distance_transform_edt(~padded, sampling=spacing_mm) <= reach_mm
    brain = ndimage.distance_transform_edt(grown, sampling=spacing_mm) > CLOSING_MM
    brain = ndimage.binary_fill_holes(brain)[(slice(room, -room),) * 3] | tissue
    stripped = scan * brain
    return stripped / stripped.max()
