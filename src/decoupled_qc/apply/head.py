"""Where the head is in a scan that noise or stripes may cover all over."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from decoupled_qc.evaluation.regions import otsu
from decoupled_qc.grids import foreground, largest_solid

SMOOTHING_VOXELS = 2.0  # noise as strong as the head must not reach the threshold in single voxels
OPENING_VOXELS = 3
LEVEL = 0.15  # of the way from the air's level up to that of tissue


def find_head(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the head as one solid piece: brighter than the air, without ghosts and holes.

    The threshold lies between the medians of what is below Otsu's threshold, mostly air, whose level noise or a spike lifts,
    and of what is above it; neither depends on how much air there is.

    Args:
        image: (D, H, W), float32, >= 0.

    Returns:
        (D, H, W), boolean. Where nothing solid is brighter than the rest, what :func:`decoupled_qc.grids.foreground` finds.
    """
    smooth = ndimage.gaussian_filter(image, SMOOTHING_VOXELS)
    is_bright = smooth > otsu(smooth)
    if is_bright.all() or not is_bright.any():
        return foreground(image)
    air, tissue = np.median(smooth[~is_bright]), np.median(smooth[is_bright])
    level = air + LEVEL * (tissue - air)
    head = largest_solid(ndimage.binary_opening(smooth > level, iterations=OPENING_VOXELS))
    return head if head.any() else foreground(image)
