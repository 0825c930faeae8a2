"""From a scan as it was acquired to the grid and intensities that networks are trained on."""

import nibabel as nib
import numpy as np
from nibabel.processing import resample_to_output
from numpy.typing import NDArray
from scipy import ndimage

BLUR = 1 / np.sqrt(8 * np.log(2))  # a voxel averages over its own width, as a Gaussian of that width at half maximum
CAP_PERCENTILE = 99.95  # of the head: a few fat and vessel voxels must not set the scale of all others


def isotropic(file: nib.Nifti1Image, spacing_mm: float) -> nib.Nifti1Image:
    """Return a volume on the RAS grid of that spacing around it, smoothed first where its voxels are finer.

    Args:
        file: One volume of any orientation, oblique too, and any data type.
        spacing_mm: Of the voxels to make.
    """
    native_mm = nib.affines.voxel_sizes(file.affine)
    sigma = BLUR * np.sqrt(np.maximum(spacing_mm**2 - native_mm**2, 0)) / native_mm
    smooth = ndimage.gaussian_filter(file.get_fdata(dtype=np.float32, caching="unchanged"), sigma)
    return resample_to_output(nib.Nifti1Image(smooth, file.affine), [spacing_mm] * 3, order=1)


def unit_range(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale intensities to [0, 1]: 0 stays 0, and a few bright fat and vessel voxels do not set the scale.

    Args:
        values: (D, H, W), float32, any unit.
    """
    positive = np.clip(values, 0, None)
    inside = foreground(positive)
    signal = positive[inside] if inside.any() else positive
    return np.clip(positive / np.percentile(signal, CAP_PERCENTILE), 0, 1).astype(np.float32)


def foreground(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the head as one solid piece: brighter than the air, without ghosts and holes.

    Args:
        image: (D, H, W), float32, >= 0.
    """
    smooth = ndimage.gaussian_filter(image, 1.5)
    return largest_solid(ndimage.binary_opening(smooth > 0.1 * np.percentile(smooth, 98), iterations=2))


def largest_solid(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the largest connected piece of a mask, its holes filled; empty if the mask is.

    Args:
        mask: (D, H, W), boolean.
    """
    pieces, n_pieces = ndimage.label(mask)
    if n_pieces == 0:
        return np.zeros_like(mask)
    return ndimage.binary_fill_holes(pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:]))
