"""Full width at half maximum of the scan's smoothness."""

import math

import numpy as np

from decoupled_qc.evaluation.evidence import Evidence

TITLE = "FWHM"
HIGHER_IS_BETTER = False
OF_IMAGE = True
MISSING = "no head, or neighbouring voxels are unrelated"


def measure(evidence: Evidence) -> dict[str, float]:
    """Return the smoothness of the head."""
    return {"scan": fwhm_mm(evidence.image, evidence.head_and_air[0], evidence.spacing_mm)}


def fwhm_mm(image: np.ndarray, mask: np.ndarray, spacing_mm: tuple[float, float, float]) -> float:
    """Return the full width at half maximum of the scan's smoothness, mean of three axes, mm; higher is blurrier.

    Along an axis, s^2 the variance of the voxels and d^2 that of differences between neighbours:
    FWHM = size x sqrt(-2 ln 2 / ln(1 - d^2 / (2 s^2))). NaN where that does not exist (fewer than two voxels, or no
    smoothness at all).

    Args:
        image: (D, H, W).
        mask: (D, H, W), boolean; pairs of neighbours inside it count.
        spacing_mm: Voxel size along each axis, mm.

    Source: Forman et al. 1995, MRM 33:636, the estimator of AFNI's 3dFWHMx that MRIQC calls.
    """
    if mask.sum() < 2 or image[mask].var(dtype=np.float64) == 0:
        return math.nan
    spread = float(image[mask].var(dtype=np.float64))
    widths = []
    for axis, size_mm in enumerate(spacing_mm):
        pairs = np.logical_and(*(np.take(mask, part, axis) for part in _neighbours(mask.shape[axis])))
        steps = np.diff(image.astype(np.float64), axis=axis)[pairs]
        inside = 1 - steps.var() / (2 * spread) if steps.size else math.nan
        if not 0 < inside < 1:
            return math.nan
        widths.append(size_mm * math.sqrt(-2 * math.log(2) / math.log(inside)))
    return float(np.mean(widths))


def _neighbours(length: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(length - 1), np.arange(1, length)
