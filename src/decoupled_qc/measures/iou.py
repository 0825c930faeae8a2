"""What all segmentations of a scan share, of what any has."""

import math

import numpy as np

from decoupled_qc.evaluation.evidence import Looks

TITLE = "IoU"
HIGHER_IS_BETTER = True
MISSING = "no voxel was called grey matter"


def compare(looks: Looks) -> float:
    """Return the intersection over union of all looks, see below."""
    return intersection_over_union(looks.labels)


def intersection_over_union(labels: np.ndarray) -> float:
    """Return |voxels in all segmentations| / |voxels in any|; lower is worse; NaN where all are empty.

    Args:
        labels: (N, D, H, W), boolean.

    Source: Roy et al. 2019 (IoU_s).
    """
    union = labels.any(axis=0).sum()
    return float(labels.all(axis=0).sum() / union) if union else math.nan
