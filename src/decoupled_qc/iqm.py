"""Image quality measures that the uncertainty is compared with."""

import math

import numpy as np


def tissue_snr(image: np.ndarray, grey: np.ndarray) -> float:
    """Return SNR = mean(grey matter) / sd(grey matter); higher is better; NaN without grey matter or spread.

    Args:
        image: (D, H, W), the scan as it is, corrupted or not.
        grey: (D, H, W), boolean grey-matter mask.

    Source: Shaw et al. 2021, eq. 10.
    """
    values = image[grey]
    return _ratio(values.mean(dtype=np.float64), values.std(dtype=np.float64)) if values.size else math.nan


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
    return _ratio(difference, math.sqrt(outside.var(dtype=np.float64) + inside.var(dtype=np.float64)))


def _ratio(numerator: float, denominator: float) -> float:
    return float(numerator / denominator) if denominator > 0 else math.nan
