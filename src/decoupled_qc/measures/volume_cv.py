"""How far the volumes of several segmentations of a scan differ."""

import math

from decoupled_qc.evaluation.evidence import Looks

TITLE = "Volume CV"
HIGHER_IS_BETTER = False
MISSING = "no voxel was called grey matter"


def compare(looks: Looks) -> float:
    """Return the coefficient of variation of the volumes, standard deviation (N - 1) / mean; higher is worse.

    NaN where all are empty.

    Source: Roy et al. 2019 (CV_s).
    """
    volumes = looks.labels.sum(axis=(1, 2, 3))
    return float(volumes.std(ddof=1) / volumes.mean()) if volumes.any() else math.nan
