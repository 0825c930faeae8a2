"""How far several segmentations of a scan overlap."""

import itertools

import numpy as np

from decoupled_qc.evaluation.evidence import Looks
from decoupled_qc.evaluation.metrics import dice

TITLE = "Pairwise Dice"
HIGHER_IS_BETTER = True


def compare(looks: Looks) -> float:
    """Return the mean Dice over all pairs of segmentations; lower is worse, 1 where all agree.

    Source: Roy et al. 2019 (d_MC); for ensembles Zenk et al. 2025.
    """
    return float(np.mean([dice(first, second) for first, second in itertools.combinations(looks.labels, 2)]))
