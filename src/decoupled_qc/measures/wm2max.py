"""How bright white matter is beside the brightest of the scan; higher is better: nothing outshines it."""

import math

import numpy as np

from decoupled_qc.evaluation.evidence import Evidence
from decoupled_qc.measures._ratio import ratio

TITLE = "WM2MAX"
HIGHER_IS_BETTER = True
OF_IMAGE = True
MISSING = "no voxel in the white-matter mask"


def measure(evidence: Evidence) -> dict[str, float]:
    """Return WM2MAX in the reference's white matter."""
    return {"reference": wm2max(evidence.image, evidence.white)}


def wm2max(image: np.ndarray, white: np.ndarray) -> float:
    """Return median(WM) / 99.95th percentile of the scan; 0.6 to 0.8 is usual, lower if something outshines the brain.

    NaN without white matter.

    Args:
        image: (D, H, W), the scan.
        white: (D, H, W), boolean white-matter mask.

    Source: MRIQC (Esteban et al. 2017).
    """
    return ratio(float(np.median(image[white])), float(np.percentile(image, 99.95))) if white.any() else math.nan
