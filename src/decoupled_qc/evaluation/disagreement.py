"""How far several segmentations of one scan disagree: the structure-wise measures of Roy et al. 2019."""

import itertools
import math

import numpy as np

from decoupled_qc.evaluation.metrics import dice, entropy


def pairwise_dice(labels: np.ndarray) -> float:
    """Return the mean Dice over all pairs of segmentations; lower is worse, 1 where all agree.

    Args:
        labels: (N >= 2, D, H, W), boolean.

    Source: Roy et al. 2019 (d_MC); for ensembles Zenk et al. 2025.
    """
    return float(np.mean([dice(first, second) for first, second in itertools.combinations(labels, 2)]))


def intersection_over_union(labels: np.ndarray) -> float:
    """Return |voxels in all segmentations| / |voxels in any|; lower is worse; NaN where all are empty.

    Args:
        labels: (N, D, H, W), boolean.

    Source: Roy et al. 2019 (IoU_s).
    """
    union = labels.any(axis=0).sum()
    return float(labels.all(axis=0).sum() / union) if union else math.nan


def volume_variation(labels: np.ndarray) -> float:
    """Return the coefficient of variation of the volumes, standard deviation (N - 1) / mean; higher is worse.

    NaN where all are empty.

    Args:
        labels: (N >= 2, D, H, W), boolean.

    Source: Roy et al. 2019 (CV_s).
    """
    volumes = labels.sum(axis=(1, 2, 3))
    return float(volumes.std(ddof=1) / volumes.mean()) if volumes.any() else math.nan


def structure_entropy(probability: np.ndarray) -> float:
    """Return the mean entropy in nats of the mean probability over the voxels that it calls grey; higher is worse.

    NaN where it calls none so.

    Args:
        probability: (D, H, W), mean over the segmentations, [0, 1].

    Source: Roy et al. 2019 (U_s).
    """
    inside = probability > 0.5
    return float(entropy(probability[inside]).mean()) if inside.any() else math.nan
