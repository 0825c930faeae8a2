"""Prediction intervals that hold for a new subject's scan, whatever the distribution: split conformal, by subject."""

import math
from collections.abc import Iterator

import numpy as np
from scipy import stats

VALIDATION, OTHERS = "validation subjects", "other test subjects"  # what an interval may be calibrated on
MOST_FOLDS = 50
MOST_LIKELIER = 20.0


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
    return float(weighted_quantiles(residuals, subjects, level, np.ones(len(residuals)), np.ones(1))[0])


def weighted_quantiles(
    residuals: np.ndarray, subjects: np.ndarray, level: float, weights: np.ndarray, of_new: np.ndarray
) -> np.ndarray:
    """Return the half-width of :func:`conformal_quantile` for new scans that are not distributed as the calibration scans.

    A calibration scan weighs as many times more as it is likelier among the new scans, and so does the new one.

    Args:
        residuals, subjects, level: As for :func:`conformal_quantile`.
        weights: (n,) float, > 0, likelihood of each calibration scan among the new scans over that among calibration scans.
        of_new: (m,) float, > 0, the same of each new scan.

    Returns:
        (m,) float, infinite where no finite one is valid.

    Source: Tibshirani et al. 2019, arXiv 1904.06019; for volumes Lambert et al. 2024, arXiv 2407.19938.
    """
    _, subject, counts = np.unique(subjects, return_inverse=True, return_counts=True)
    order = np.argsort(residuals)
    up_to = np.cumsum((weights / counts[subject])[order])
    if not len(order):
        return np.full(len(of_new), math.inf)
    wanted = level * (up_to[-1] + of_new)
    return np.append(residuals[order], math.inf)[np.searchsorted(up_to, wanted * (1 - 1e-12))]


def likelihood_ratio(calibration: np.ndarray, subjects: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how much likelier each scan is among new scans than among calibration scans, by what is known of both: one number.

    From a logistic regression of "new" on the number and its square, so that a shift and a spread of it are seen, each
    calibration subject weighing the same; limited to between 1 / 20 and 20, beyond which one scan would decide alone. Of few
    scans the regression's penalty (scikit-learn's own) draws the ratio towards 1.

    Args:
        calibration, new: (n,) and (m,) float, finite.
        subjects: (n,) subject of each calibration scan.

    Returns:
        (n,) and (m,) float, for :func:`weighted_quantiles`.
    """
    from sklearn.linear_model import LogisticRegression  # takes longer to load than all other statistics

    both = np.concatenate([calibration, new])
    standard = (both - both.mean()) / (both.std() or 1.0)
    features = np.stack([standard, standard**2], axis=1)
    is_new = np.arange(len(both)) >= len(calibration)
    _, subject, counts = np.unique(subjects, return_inverse=True, return_counts=True)
    of_calibration = len(calibration) / (len(counts) * counts[subject])  # they add up to n
    weight = np.concatenate([of_calibration, np.ones(len(new))])
    odds = np.exp(LogisticRegression().fit(features, is_new, weight).decision_function(features))
    ratio = np.clip(odds * len(calibration) / len(new), 1 / MOST_LIKELIER, MOST_LIKELIER)
    return ratio[~is_new], ratio[is_new]


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


def crps_normal(error: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Return the continuous ranked probability score of normal predictions, s (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi)).

    z = error / s; lower is better, in the units of the error, of which it is the absolute value where s is 0.

    Args:
        error: (n,) float, prediction less truth.
        sd: (n,) float, >= 0.

    Source: Gneiting et al. 2005, Mon. Weather Rev. 133:1098.
    """
    z = np.divide(error, sd, out=np.zeros(len(sd)), where=sd > 0)
    score = sd * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / math.sqrt(math.pi))
    return np.where(sd > 0, score, np.abs(error))
