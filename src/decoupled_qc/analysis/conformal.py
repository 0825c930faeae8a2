"""Prediction intervals that hold for a new subject's scan, whatever the distribution: split conformal, by subject."""

import math
from collections.abc import Iterator

import numpy as np

VALIDATION, OTHERS = "validation subjects", "other test subjects"  # what an interval may be calibrated on
MOST_FOLDS = 50


def conformal_quantile(residuals: np.ndarray, subjects: np.ndarray, level: float) -> float:
    """Return the half-width, in units of the residuals, that holds for a scan of a new subject with probability >= level.

    Each of K calibration subjects weighs 1 / (K + 1), shared by their scans; the new subject's 1 / (K + 1) counts as
    infinite. With too few subjects, K < level / (1 - level), no finite interval can promise the level.

    Args:
        residuals: (n,) float, |prediction - truth|, perhaps over a scale.
        subjects: (n,) subject of each.
        level: (0, 1).

    Returns:
        A float, infinite where no finite one is valid.

    Source: Lee, Barber & Willett 2023, arXiv 2306.06342, for scans that come in groups.
    """
    names, subject, counts = np.unique(subjects, return_inverse=True, return_counts=True)
    order = np.argsort(residuals)
    weight = 1 / ((len(names) + 1) * counts[subject[order]])
    reached = np.cumsum(weight) >= level - 1e-12
    return float(residuals[order][np.argmax(reached)]) if reached.any() else math.inf


def held_out(subjects: np.ndarray) -> Iterator[np.ndarray]:
    """Yield which scans to hold out: of one subject after the other, or of 50 groups of subjects where there are more.

    So no scan is predicted from scans of its own subject, and the cost does not grow with the square of the subjects.

    Args:
        subjects: (n,) subject of each scan.

    Yields:
        (n,) boolean.
    """
    names, subject = np.unique(subjects, return_inverse=True)
    n_folds = min(len(names), MOST_FOLDS)
    for fold in range(n_folds):
        yield subject % n_folds == fold


def interval_score(truth: np.ndarray, low: np.ndarray, high: np.ndarray, level: float) -> np.ndarray:
    """Return width + 2 / (1 - level) x the distance by which the truth lies outside; lower is better.

    Args:
        truth, low, high: (n,) float.
        level: (0, 1).

    Source: Gneiting & Raftery 2007, J. Am. Stat. Assoc. 102:359, eq. 43.
    """
    outside = np.maximum(low - truth, 0) + np.maximum(truth - high, 0)
    return high - low + 2 / (1 - level) * outside
