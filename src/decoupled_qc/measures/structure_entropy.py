"""Entropy of the mean of several segmentations, where it calls grey matter."""

import math

import numpy as np

from decoupled_qc.evaluation.evidence import Looks
from decoupled_qc.evaluation.metrics import entropy

TITLE = "Entropy in GM"
HIGHER_IS_BETTER = False
MISSING = "no voxel was called grey matter"


def compare(looks: Looks) -> float:
    """Return the mean entropy where the mean of all looks calls grey matter, see below."""
    return structure_entropy(looks.probability)


def structure_entropy(probability: np.ndarray) -> float:
    """Return the mean entropy in nats of the mean probability over the voxels that it calls grey; higher is worse.

    NaN where it calls none so.

    Args:
        probability: (D, H, W), mean over the segmentations, [0, 1].

    Source: Roy et al. 2019 (U_s).
    """
    inside = probability > 0.5
    return float(entropy(probability[inside]).mean()) if inside.any() else math.nan
