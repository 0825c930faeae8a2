"""Whether a probability map says how often it is right, voxel by voxel."""

import math

import numpy as np

from decoupled_qc.evaluation.metrics import dice, entropy

N_BINS = 15
RESOLUTION = (
    2.0**-12
)  # of maps on disk, in half precision, below 1: a probability nearer to 0 or 1 says no more than this
UNCERTAIN = math.log(2) / 2  # nats: half of the most that two classes can have, a probability of 0.11 to 0.89


def expected_calibration_error(probability: np.ndarray, truth: np.ndarray) -> float:
    """Return sum_b n_b / n |mean probability - share that is true| over 15 bins of probability; higher is worse.

    Args:
        probability: (n,) of grey matter, [0, 1].
        truth: (n,) boolean.

    Source: Guo et al. 2017, arXiv 1706.04599, for the probability of one class.
    """
    place = np.minimum((probability * N_BINS).astype(int), N_BINS - 1)
    said = np.bincount(place, weights=probability, minlength=N_BINS)
    true = np.bincount(place, weights=truth, minlength=N_BINS)
    return float(np.abs(said - true).sum() / len(probability))


def brier_score(probability: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean of (probability - truth)^2; higher is worse.

    Args:
        probability, truth: As for :func:`expected_calibration_error`.

    Source: Brier 1950, Mon. Weather Rev. 78:1.
    """
    return float(np.mean((probability - truth) ** 2, dtype=np.float64))


def negative_log_likelihood(probability: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean of -log of the probability given to what is true, nats; higher is worse.

    A probability counts as at least 2^-12 from 0 and 1, the finest that a map on disk tells from 1, so that one voxel that is
    surely wrong costs 8.3 nats.

    Args:
        probability, truth: As for :func:`expected_calibration_error`.
    """
    of_truth = np.where(truth, probability, 1 - probability).astype(np.float64)
    return float(-np.log(of_truth.clip(RESOLUTION, 1 - RESOLUTION)).mean())


def uncertainty_error_overlap(probability: np.ndarray, truth: np.ndarray) -> float:
    """Return the Dice overlap of uncertain and wrongly labelled voxels; 1 is best.

    Uncertain is an entropy above half of its maximum, wrong a probability on the other side of 0.5.

    Args:
        probability, truth: As for :func:`expected_calibration_error`.

    Source: Jungo, Balsiger & Reyes 2020, Front. Neurosci. 14:282.
    """
    return dice(entropy(probability) > UNCERTAIN, (probability > 0.5) != truth)
