"""Entropy focus criterion: ghosts and blur spread intensity over more voxels."""

import math

import numpy as np

from decoupled_qc.evaluation.evidence import Evidence

TITLE = "EFC"
HIGHER_IS_BETTER = False
OF_IMAGE = True
MISSING = "the scan is all zeros"


def measure(evidence: Evidence) -> dict[str, float]:
    """Return EFC of the scan."""
    return {"scan": efc(evidence.image)}


def efc(image: np.ndarray) -> float:
    """Return the entropy focus criterion: entropy of voxel intensities over its largest value; higher is worse.

    B = sqrt(sum x^2), E = -sum (x / B) log(x / B), over sqrt(n) log sqrt(n): 0 if one voxel holds all, 1 if all are
    alike. NaN for an image of zeros.

    Args:
        image: (D, H, W), >= 0.

    Source: Atkinson et al. 1997, IEEE TMI 16:903; normalised as in MRIQC.
    """
    values = image.astype(np.float64).ravel()
    total = math.sqrt(values @ values)
    if total == 0:
        return math.nan
    share = values / total
    return float(-(share * np.log(share + 1e-16)).sum() / (math.sqrt(values.size) * math.log(math.sqrt(values.size))))
