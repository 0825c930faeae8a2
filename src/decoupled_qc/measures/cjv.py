"""Coefficient of joint variation of grey and white matter."""

import math

import numpy as np

from decoupled_qc.evaluation.evidence import Evidence
from decoupled_qc.measures._ratio import ratio

TITLE = "CJV"
HIGHER_IS_BETTER = False
OF_IMAGE = True
MISSING = "no voxel in one of the tissue masks, or no contrast between them"


def measure(evidence: Evidence) -> dict[str, float]:
    """Return CJV in the reference's tissues, and in predicted grey matter and the white matter that it encloses."""
    return {
        "reference": cjv(evidence.image, evidence.grey, evidence.white),
        "predicted": cjv(evidence.image, evidence.predicted, evidence.enclosed),
    }


def cjv(image: np.ndarray, grey: np.ndarray, white: np.ndarray) -> float:
    """Return the coefficient of joint variation, (sd(WM) + sd(GM)) / |mean(WM) - mean(GM)|; higher is worse.

    NaN without either tissue or contrast.

    Args:
        image, grey, white: As for :func:`decoupled_qc.measures.cnr.tissue_cnr`.

    Source: Ganzetti et al. 2016, Front. Neuroinform. 10:10; MRIQC takes medians and median absolute deviations instead,
    which agree with these for normal intensities.
    """
    inside, outside = image[grey], image[white]
    if not inside.size or not outside.size:
        return math.nan
    difference = abs(outside.mean(dtype=np.float64) - inside.mean(dtype=np.float64))
    return ratio(outside.std(dtype=np.float64) + inside.std(dtype=np.float64), difference)
