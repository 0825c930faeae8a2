"""Deep grey matter and brainstem, which intensities cannot tell from white matter."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

# Boxes in the average's world millimetres (MNI), left to right, back to front, foot to head: wide enough for the structures,
# short of insula, hippocampus and cingulum. Ours, by looking at the average and at one brain with FreeSurfer's labels.
DEEP_GREY_MM = ((-32, 32), (-36, 24), (-6, 20))
BRAINSTEM_MM = ((-14, 14), (-40, -6), (-70, -8))
DEEP_GREY_SHARE = 0.25  # of grey matter in the average's map: thalamus and pallidum have 0.3, the internal capsule 0.05
RIM_VOXELS = 2  # of 1 mm: sheets of grey thinner than twice that are the partial volume around ventricles


def deep_regions(grey: NDArray[np.float32], white: NDArray[np.float32], affine: NDArray) -> NDArray[np.float32]:
    """Return where the average brain has deep grey matter (caudate, putamen, pallidum, thalamus) and where brainstem.

    Args:
        grey, white: (D, H, W), float32, [0, 1]: the average's maps at 1 mm.
        affine: (4, 4), voxels to world millimetres, without rotation.

    Returns:
        (2, D, H, W), float32, {0, 1}: deep grey matter, brainstem.
    """
    solid = ndimage.binary_opening(
        (grey > DEEP_GREY_SHARE) & _box(DEEP_GREY_MM, affine, grey.shape), iterations=RIM_VOXELS
    )
    stem = (grey + white > 0.5) & _box(BRAINSTEM_MM, affine, grey.shape)
    return np.stack([solid, stem & ~solid]).astype(np.float32)


def assign_deep_tissue(fractions: NDArray[np.float32], regions: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return tissue fractions in which what is no fluid is grey matter in deep grey matter and white in the brainstem.

    In T1-weighted scans both lie between cortex and white matter, nearer to white in some people and scanners than in others,
    so the mixture model calls the same structure grey in one head and white in the next.

    Args:
        fractions: (3, D, H, W), float32, [0, 1]: CSF, grey and white matter.
        regions: (2, D, H, W), float32, [0, 1]: of :func:`deep_regions`, on the same grid.
    """
    fluid, grey, white = fractions
    deep, stem = regions
    to_grey, to_white = deep * white, stem * grey
    return np.stack([fluid, grey + to_grey - to_white, white + to_white - to_grey])


def _box(limits_mm: tuple, affine: NDArray, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    inside = np.ones(shape, bool)
    for axis, (low, high) in enumerate(limits_mm):
        place = affine[axis, axis] * np.arange(shape[axis]) + affine[axis, 3]
        within = (place >= low) & (place <= high)
        inside &= np.expand_dims(within, [other for other in range(3) if other != axis])
    return inside
