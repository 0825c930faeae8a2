"""Parts of a scan that measures look at and no label gives: enclosed white matter, head, air."""

import math

import numpy as np
from scipy import ndimage

from decoupled_qc.grids import largest_solid

AIR_MARGIN_VOXELS = 3
ENCLOSED_MM = 8.0  # white matter lies within this distance of grey matter on all sides
MOST_ZEROS = 0.1  # of the air's voxels; more were blanked, by a scanner, a mask or a defacing tool


def enclosed_white(image: np.ndarray, grey: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Return a stand-in for white matter, which a grey-matter network does not label.

    What grey matter encloses and is brighter than grey matter's median plus half its spread: of a T1-weighted scan that
    is white matter, of any other something else.

    Args:
        image: (D, H, W), [0, 1].
        grey: (D, H, W), boolean, predicted grey matter.
        spacing_mm: Voxel size along each axis, mm.

    Returns:
        (D, H, W) boolean mask, empty without grey matter.
    """
    if not grey.any():
        return np.zeros_like(grey)
    level = np.median(image[grey]) + 0.5 * image[grey].std()
    return _closed(grey, spacing_mm) & ~grey & (image > level)


def rim(grey: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Return the layer of voxels next outside grey matter and all that it encloses: mostly cerebrospinal fluid.

    Args:
        grey, spacing_mm: As for :func:`enclosed_white`.

    Returns:
        (D, H, W) boolean mask, empty without grey matter.
    """
    whole = _closed(grey, spacing_mm)
    return ndimage.binary_dilation(whole) & ~whole


def _closed(grey: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Return grey matter with what lies within ``ENCLOSED_MM`` of it on all sides."""
    steps = max(1, round(ENCLOSED_MM / math.prod(spacing_mm) ** (1 / 3)))
    padded = np.pad(grey, steps)  # so that closing does not end at the edge of the volume
    return ndimage.binary_closing(padded, iterations=steps)[tuple(slice(steps, -steps) for _ in range(3))]


def head_and_air(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return masks of the head (largest bright region, its holes filled) and of the air well outside it.

    Args:
        image: (D, H, W), >= 0, head and air in view.

    Returns:
        Two (D, H, W) boolean masks; the air may be empty.
    """
    smooth = ndimage.gaussian_filter(image.astype(np.float32), 1.0)
    head = largest_solid(ndimage.binary_closing(smooth > otsu(smooth), iterations=2))
    if not head.any():
        return head, np.zeros_like(head)
    return head, ~ndimage.binary_dilation(head, iterations=AIR_MARGIN_VOXELS)


def holds_noise(air: np.ndarray) -> bool:
    """Say whether the voxels of the air hold the scanner's noise, not blanks."""
    return air.size > 0 and float((air == 0).mean()) <= MOST_ZEROS


def otsu(image: np.ndarray) -> float:
    """Return the threshold with the largest variance between the two classes (Otsu 1979), of 256 bins."""
    counts, edges = np.histogram(image, 256)
    middle = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)
    above = counts.sum() - below
    sums = np.cumsum(counts * middle)
    means = sums / np.maximum(below, 1), (sums[-1] - sums) / np.maximum(above, 1)
    return float(middle[np.argmax(below * above * (means[0] - means[1]) ** 2.0)])
