"""What all artefacts together make uncertain: the paper's score, and other ways to sum a map up."""

import math

import numpy as np
from scipy import ndimage

from decoupled_qc.evaluation.evidence import Evidence
from decoupled_qc.evaluation.metrics import mean_uncertainty

TITLE = "Artefact uncertainty"
HIGHER_IS_BETTER = False
MISSING = "no voxel was called grey matter"
TOP_SHARE = 0.05
PATCH_MM = 20.0


def measure(evidence: Evidence) -> dict[str, float]:
    """Return the paper's score, ``mean`` (eq. 9), and sums over parts of the map of all artefacts' variances."""
    variance, predicted = evidence.artefact_variance, evidence.predicted
    return {
        "mean": mean_uncertainty(variance),
        "gm_mean": mean_uncertainty_near(variance, predicted, evidence.dilation_voxels),
        "gm_only": mean_uncertainty_near(variance, predicted, 0),
        "per_gm": uncertainty_per_voxel(variance, predicted),
        "off_boundary": mean_uncertainty_off_boundary(variance, predicted),
        "top_5_percent": top_uncertainty(variance),
        "patch_max": patch_max_uncertainty(variance, evidence.spacing_mm),
    }


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


def uncertainty_per_voxel(variance: np.ndarray, mask: np.ndarray) -> float:
    """Return the sum of a variance map over the scan for each voxel of a mask: ``sum(v) / |mask|``; higher is worse.

    A mean over the scan falls with the air around the head and rises with the head's size; this does neither.

    Args:
        variance: (D, H, W), >= 0.
        mask: (D, H, W), e.g. the predicted grey matter. NaN where it is empty.
    """
    return float(variance.sum(dtype=np.float64) / mask.sum()) if mask.any() else math.nan


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
