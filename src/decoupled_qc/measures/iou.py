"""What all segmentations of a scan share, of what any has."""

import math

from decoupled_qc.evaluation.evidence import Looks

TITLE = "IoU"
HIGHER_IS_BETTER = True
MISSING = "no voxel was called grey matter"


def compare(looks: Looks) -> float:
    """Return |voxels in all segmentations| / |voxels in any|; lower is worse; NaN where all are empty.

    Source: Roy et al. 2019 (IoU_s).
    """
    union = looks.labels.any(axis=0).sum()
    return float(looks.labels.all(axis=0).sum() / union) if union else math.nan
