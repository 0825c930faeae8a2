"""How far the volumes of several segmentations of a scan differ."""

import math

import numpy as np

from decoupled_qc.evaluation.evidence import Looks

TITLE = "Volume CV"
HIGHER_IS_BETTER = False
MISSING = "no voxel was called grey matter"


def compare(looks: Looks) -> float:
    """Return the coefficient of variation of the volumes, see below."""
    return volume_variation(looks.labels)


def volume_variation(labels: np.ndarray) -> float:
    """Return the coefficient of variation of the volumes, standard deviation (N - 1) / mean; higher is worse.

    NaN where all are empty.

    Args:
        labels: (N >= 2, D, H, W), boolean.

    Source: Roy et al. 2019 (CV_s).
    """
    volumes = labels.sum(axis=(1, 2, 3))
    return float(volumes.std(ddof=1) / volumes.mean()) if volumes.any() else math.nan
