"""Contrast-to-noise ratio of grey and white matter."""

import math

import numpy as np

from decoupled_qc.evaluation.evidence import Evidence
from decoupled_qc.measures._ratio import ratio

TITLE = "CNR"
HIGHER_IS_BETTER = True
OF_IMAGE = True
MISSING = "no voxel in one of the tissue masks, or all alike"


def measure(evidence: Evidence) -> dict[str, float]:
    """Return CNR in the reference's tissues, and in predicted grey matter and the white matter that it encloses."""
    return {
        "reference": tissue_cnr(evidence.image, evidence.grey, evidence.white),
        "predicted": tissue_cnr(evidence.image, evidence.predicted, evidence.enclosed),
    }


def tissue_cnr(image: np.ndarray, grey: np.ndarray, white: np.ndarray) -> float:
    """Return CNR = |mean(WM) - mean(GM)| / sqrt(var(WM) + var(GM)); higher is better; NaN without either tissue.

    Args:
        image: (D, H, W), the scan as it is.
        grey, white: (D, H, W), boolean tissue masks.

    Source: Shaw et al. 2021, eq. 11; the root of the summed variances is our reading, MRIQC's adds that of air.
    """
    inside, outside = image[grey], image[white]
    if not inside.size or not outside.size:
        return math.nan
    difference = abs(outside.mean(dtype=np.float64) - inside.mean(dtype=np.float64))
    return ratio(difference, math.sqrt(outside.var(dtype=np.float64) + inside.var(dtype=np.float64)))
