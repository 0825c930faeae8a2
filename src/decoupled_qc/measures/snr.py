"""Signal-to-noise ratio of grey matter."""

import math

import numpy as np

from decoupled_qc.evaluation.evidence import Evidence
from decoupled_qc.measures._ratio import ratio

TITLE = "SNR"
HIGHER_IS_BETTER = True
OF_IMAGE = True
MISSING = "no voxel in the grey-matter mask, or all alike"


def measure(evidence: Evidence) -> dict[str, float]:
    """Return SNR in the reference's grey matter and in the predicted one."""
    image = evidence.image
    return {"reference": tissue_snr(image, evidence.grey), "predicted": tissue_snr(image, evidence.predicted)}


def tissue_snr(image: np.ndarray, grey: np.ndarray) -> float:
    """Return SNR = mean(grey matter) / sd(grey matter); higher is better; NaN without grey matter or spread.

    Args:
        image: (D, H, W), the scan as it is, corrupted or not.
        grey: (D, H, W), boolean grey-matter mask.

    Source: Shaw et al. 2021, eq. 10. MRIQC takes the median in place of the mean.
    """
    values = image[grey]
    return ratio(values.mean(dtype=np.float64), values.std(dtype=np.float64)) if values.size else math.nan
