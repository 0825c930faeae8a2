"""How far the surfaces of two masks lie apart.

MONAI measures the same, as a test shows, but loads PyTorch for seconds, which a job that scores does without.
"""

import math

import numpy as np
from scipy import ndimage


class SurfaceDistances:
    """Distances from the surface of each of two masks to that of the other, taken once for several measures.

    A surface is the voxels of a mask with a face neighbour outside of it; the volume's border is outside.

    Args:
        first, second: (D, H, W), boolean or {0, 1}.
        spacing_mm: Voxel size along each axis, mm.
    """

    def __init__(self, first: np.ndarray, second: np.ndarray, spacing_mm: tuple[float, float, float]):
        masks = [mask.astype(bool) for mask in (first, second)]
        box = (ndimage.find_objects((masks[0] | masks[1]).astype(np.int8)) or [None])[0]
        surfaces = [_surface(mask[box] if box else mask) for mask in masks]  # all of it lies in the box: less to search
        self._found = [bool(surface.any()) for surface in surfaces]
        self._mm = [np.empty(0), np.empty(0)]
        if all(self._found):
            to = [ndimage.distance_transform_edt(~surface, sampling=spacing_mm) for surface in surfaces]
            self._mm = [to[1][surfaces[0]], to[0][surfaces[1]]]

    def hausdorff_95_mm(self) -> float:
        """Return the larger of the two 95th percentiles of distance, mm; higher is worse; NaN if a mask is empty.

        Source: Huttenlocher et al. 1993, with a percentile for the maximum.
        """
        return max(float(np.percentile(mm, 95)) for mm in self._mm) if all(self._found) else math.nan

    def normalised_surface_dice(self, tolerance_mm: float) -> float:
        """Return the share of both surfaces that lies within a tolerance of the other; 1 is best.

        Two empty masks agree (1), one empty mask agrees nowhere (0). Voxels of surface are counted, not their area.

        Args:
            tolerance_mm: > 0.

        Source: Nikolov et al. 2021, J. Med. Internet Res. 23:e26151.
        """
        if not all(self._found):
            return 0.0 if any(self._found) else 1.0
        return float(np.mean(np.concatenate(self._mm) <= tolerance_mm))


def _surface(mask: np.ndarray) -> np.ndarray:
    return mask & ~ndimage.binary_erosion(mask)
