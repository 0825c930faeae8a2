"""Measures of a prediction: overlap, volume, entropy and aggregated uncertainty."""

import math

import numpy as np

MIN_PROBABILITY = 1e-12


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """Return the Dice overlap 2 |A and B| / (|A| + |B|); 1 is best, and two empty masks agree (1).

    Args:
        first, second: Same shape, boolean or {0, 1}.
    """
    first, second = first.astype(bool), second.astype(bool)
    total = first.sum() + second.sum()
    return 2 * float((first & second).sum()) / float(total) if total else 1.0


def entropy(probability: np.ndarray) -> np.ndarray:
    """Return the entropy of two classes, H = -p log p - (1 - p) log(1 - p), in nats; higher is less certain.

    Args:
        probability: Of one class, [0, 1], any shape.
    """
    p = probability.astype(np.float64).clip(MIN_PROBABILITY, 1 - MIN_PROBABILITY)
    return -(p * np.log(p) + (1 - p) * np.log1p(-p))


def entropy_variance(entropy_nats: np.ndarray) -> np.ndarray:
    """Return the variance of the Gaussian with this entropy, exp(2 H) / (2 pi e); higher is less certain.

    A certain voxel (H = 0) still has 0.0585, so a clean scan's sum must be subtracted before use.

    Source: Shaw et al. 2021, eq. 8.
    """
    return np.exp(2 * entropy_nats) / (2 * math.pi * math.e)


def excess_variance(entropy_nats: np.ndarray) -> np.ndarray:
    """Return eq. 8's variance above that of a certain voxel; >= 0, higher is less certain."""
    return entropy_variance(entropy_nats) - entropy_variance(np.zeros(()))


def mean_uncertainty(variance: np.ndarray) -> float:
    """Return the mean over the whole volume of a (summed) variance map; higher is worse.

    With the sum of all artefact variances, the task's left out, this is the paper's quality score.

    Args:
        variance: (D, H, W), >= 0.

    Source: Shaw et al. 2021, eq. 9.
    """
    return float(variance.mean(dtype=np.float64))
