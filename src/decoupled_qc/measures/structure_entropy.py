"""Entropy of the mean of several segmentations, where it calls grey matter."""

import math

from decoupled_qc.evaluation.evidence import Looks
from decoupled_qc.evaluation.metrics import entropy

TITLE = "Entropy in GM"
HIGHER_IS_BETTER = False
MISSING = "no voxel was called grey matter"


def compare(looks: Looks) -> float:
    """Return the mean entropy in nats of the mean probability over the voxels that it calls grey; higher is worse.

    NaN where it calls none so.

    Source: Roy et al. 2019 (U_s).
    """
    inside = looks.probability > 0.5
    return float(entropy(looks.probability[inside]).mean()) if inside.any() else math.nan
