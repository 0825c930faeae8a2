"""Measures of a prediction: overlap, volume, entropy and aggregated uncertainty."""

import math

import numpy as np
from scipy import ndimage

MIN_PROBABILITY = 1e-12
TOP_SHARE = 0.05
PATCH_MM = 20.0


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """Return the Dice overlap 2 |A and B| / (|A| + |B|); 1 is best, and two empty masks agree (1).

    Args:
        first, second: Same shape, boolean or {0, 1}.
    """
    first, second = first.astype(bool), second.astype(bool)
    total = first.sum() + second.sum()
    return 2 * float((first & second).sum()) / float(total) if total else 1.0


def entropy(probability: np.ndarray) -> np.ndarray:
    """Return the entropy of two classes, H = -p log p - (1 - p) log(1 - p), in nats; higher is less certain.

    Args:
        probability: Of one class, [0, 1], any shape.
    """
    p = probability.astype(np.float64).clip(MIN_PROBABILITY, 1 - MIN_PROBABILITY)
    return -(p * np.log(p) + (1 - p) * np.log1p(-p))


def entropy_variance(entropy_nats: np.ndarray) -> np.ndarray:
    """Return the variance of the Gaussian with this entropy, exp(2 H) / (2 pi e); higher is less certain.

    A certain voxel (H = 0) still has 0.0585, so a clean scan's sum must be subtracted before use.

    Source: Shaw et al. 2021, eq. 8.
    """
    return np.exp(2 * entropy_nats) / (2 * math.pi * math.e)


def mean_uncertainty(variance: np.ndarray) -> float:
    """Return the mean over the whole volume of a (summed) variance map; higher is worse.

    With the sum of all artefact variances, the task's left out, this is the paper's quality score.

    Args:
        variance: (D, H, W), >= 0.

    Source: Shaw et al. 2021, eq. 9.
    """
    return float(variance.mean(dtype=np.float64))


def mean_uncertainty_near(variance: np.ndarray, mask: np.ndarray, dilation_voxels: int) -> float:
    """Return the mean of a variance map inside a dilated mask; higher is worse; NaN for an empty mask.

    Args:
        variance: (D, H, W), >= 0.
        mask: (D, H, W), e.g. the predicted grey matter.
        dilation_voxels: Steps of 6-neighbour dilation.
    """
    if not mask.any():
        return math.nan
    # SciPy takes 0 steps for "until nothing changes".
    region = ndimage.binary_dilation(mask, iterations=dilation_voxels) if dilation_voxels else mask
    return float(variance[region].mean(dtype=np.float64))


def mean_uncertainty_off_boundary(variance: np.ndarray, mask: np.ndarray) -> float:
    """Return the mean of a variance map without the voxels on either side of a mask's boundary; higher is worse.

    A boundary is uncertain in a good scan too, and the longer it is the more: this leaves it out.

    Args:
        variance: (D, H, W), >= 0.
        mask: (D, H, W), e.g. the predicted grey matter.

    Source: the boundary-removed aggregation of Zenk et al. 2025, Med. Image Anal. 101:103392.
    """
    boundary = ndimage.binary_dilation(mask) & ~ndimage.binary_erosion(mask, border_value=1)
    return float(variance[~boundary].mean(dtype=np.float64)) if not boundary.all() else math.nan


def top_uncertainty(variance: np.ndarray) -> float:
    """Return the mean of the highest 5 % of a variance map; higher is worse.

    Args:
        variance: (D, H, W), >= 0.
    """
    n = max(1, round(TOP_SHARE * variance.size))
    return float(np.partition(variance, variance.size - n, axis=None)[-n:].mean(dtype=np.float64))


def patch_max_uncertainty(variance: np.ndarray, spacing_mm: tuple[float, float, float]) -> float:
    """Return the highest mean of a variance map over a cube of 20 mm inside the volume; higher is worse.

    Args:
        variance: (D, H, W), >= 0. An axis shorter than the cube is taken whole.
        spacing_mm: Voxel size along each axis, mm.
    """
    means = variance.astype(np.float64)
    for axis, (length, size_mm) in enumerate(zip(variance.shape, spacing_mm, strict=True)):
        width = min(length, max(1, round(PATCH_MM / size_mm)))
        total = np.insert(np.cumsum(means, axis=axis), 0, 0.0, axis=axis)
        after, before = (np.take(total, np.arange(first, first + length - width + 1), axis) for first in (width, 0))
        means = (after - before) / width
    return float(means.max())
