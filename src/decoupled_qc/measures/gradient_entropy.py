"""Entropy of the gradient's magnitude."""

import math

import numpy as np

from decoupled_qc.evaluation.evidence import Evidence

TITLE = "Gradient entropy"
HIGHER_IS_BETTER = False
OF_IMAGE = True
MISSING = "the scan is constant"


def measure(evidence: Evidence) -> dict[str, float]:
    """Return the gradient entropy of the scan."""
    return {"scan": gradient_entropy(evidence.image)}


def gradient_entropy(image: np.ndarray) -> float:
    """Return the entropy of the gradient's magnitude, -sum h log h / log n with h = |grad x| / sum |grad x|.

    Higher is worse: blur and ghosts spread edges over more voxels. NaN for a constant image.

    Args:
        image: (D, H, W).

    Source: McGee et al. 2000, JMRI 11:174.
    """
    slope = np.sqrt(sum(part**2 for part in np.gradient(image.astype(np.float64)))).ravel()
    if slope.sum() == 0:
        return math.nan
    share = slope[slope > 0] / slope.sum()
    return float(-(share * np.log(share)).sum() / math.log(slope.size))
