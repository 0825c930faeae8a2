"""How far a predicted Dice may be off: an interval as wide as what it lacks to 1, conformal by subject."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from decoupled_qc.analysis.conformal import conformal_quantile, held_out

LEAST_SPREAD = 0.05  # of Dice: no scan is so good that its prediction could not be off by some of this


def spread(predicted: ArrayLike) -> np.ndarray:
    """Return the scale of what a predicted Dice may be off by: 1 - Dice, but at least ``LEAST_SPREAD``.

    Good segmentations are alike and bad ones are not: with one width for all, intervals of clean scans are too wide to pass
    and those of the worst scans too narrow to hold.

    Args:
        predicted: Dice, any shape, [0, 1].

    Returns:
        Of the same shape, in units of Dice.
    """
    return np.maximum(1 - np.asarray(predicted), LEAST_SPREAD)


def dice_interval(predicted: ArrayLike, ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the intervals predicted ± ratio x :func:`spread`, within [0, 1]; all of that if ratio is infinite.

    Args:
        predicted: Dice, any shape, [0, 1].
        ratio: From :func:`interval_ratio`, >= 0.
    """
    half = ratio * spread(predicted)
    return np.clip(predicted - half, 0, 1), np.clip(predicted + half, 0, 1)


def interval_ratio(
    calibration: pd.DataFrame, error_rate: float, predict: Callable[[pd.DataFrame, pd.DataFrame], np.ndarray]
) -> float:
    """Return the half-width of intervals of Dice over :func:`spread`: conformal by subject, from fits without that subject.

    Args:
        calibration: Scans of two subjects or more, with ``subject``, ``dice:gm`` and what ``predict`` needs.
        error_rate: (0, 1).
        predict: Of (scans to fit, scans to predict) → Dice (n,) of the latter.

    Returns:
        Infinite where so few subjects cannot promise this rate.

    Source: Lei et al. 2018, J. Am. Stat. Assoc. 113:1094, section 5.2, for intervals of locally varying width.
    """
    residuals, subject = np.empty(len(calibration)), calibration["subject"].to_numpy()
    for own in held_out(subject):
        predicted = predict(calibration[~own], calibration[own])
        off = np.abs(calibration.loc[own, "dice:gm"].to_numpy() - predicted)
        residuals[own] = off / spread(predicted)
    return conformal_quantile(residuals, subject, 1 - error_rate)
