"""Foreground-background energy ratio."""

import math

import numpy as np

from decoupled_qc.evaluation.evidence import Evidence
from decoupled_qc.evaluation.regions import holds_noise
from decoupled_qc.measures._ratio import ratio

TITLE = "FBER"
HIGHER_IS_BETTER = True
OF_IMAGE = True
MISSING = "no air around the head, or no signal in it (defaced, masked or brain-extracted)"


def measure(evidence: Evidence) -> dict[str, float]:
    """Return FBER of the scan."""
    return {"scan": fber(evidence.image, *evidence.head_and_air)}


def fber(image: np.ndarray, head: np.ndarray, air: np.ndarray) -> float:
    """Return the foreground-background energy ratio, median(x^2 in the head) / median(x^2 in air); higher is better.

    NaN without air, or with more than a tenth of it at exactly 0, as in a defaced, masked or brain-extracted scan.

    Args:
        image: (D, H, W).
        head, air: (D, H, W), boolean, as :func:`decoupled_qc.evaluation.regions.head_and_air` returns them.

    Source: MRIQC (Esteban et al. 2017), after Shehzad et al. 2015.
    """
    if not head.any() or not holds_noise(image[air]):
        return math.nan
    return ratio(float(np.median(image[head] ** 2)), float(np.median(image[air] ** 2)))
