"""A decision for each scan by the artefact uncertainty alone: predicted Dice with an interval, and pass, review or fail.

What the paper's score is worth by itself; a user's scan is judged by all variances, :mod:`decoupled_qc.apply.expected_dice`.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression

from decoupled_qc.analysis import scores as tables
from decoupled_qc.analysis.conformal import OTHERS, VALIDATION, conformal_quantile, held_out

COLUMNS = (
    "model", "replicate", "scan", "subject", "anatomy", "artefact", "severity", "score", "dice", "predicted_dice",
    "low", "high", "verdict", "right", "calibrated_on", "n_calibration_subjects",
    "target_dice", "error_rate", "note",
)  # fmt: skip
LEAST_SPREAD = 0.05  # of Dice: no scan is so good that its prediction could not be off by some of this
PASS, REVIEW, FAIL = "pass", "review", "fail"


def decisions(scores: pd.DataFrame, subjects: pd.DataFrame, *, target_dice: float, error_rate: float) -> pd.DataFrame:
    """Return what the artefact uncertainty predicts of each simulated test scan's Dice, and the decision that follows.

    Dice is predicted by isotonic regression on the score (falling), fitted on the validation subjects' scans, or on the
    other test subjects' where there are none, as ``calibrated_on`` says. Its interval, :func:`dice_interval`, is conformal
    by subject: made to hold the Dice of a new subject's scan with probability 1 - ``error_rate``. (Only nearly so, since
    the residuals come from fits without the subject and the prediction from the fit of all.)
    ``pass``: all of it is at or above ``target_dice``; ``fail``: all of it is below; ``review``: neither, so that
    wrong passes and fails together stay at that rate. ``right`` is empty for ``review``.

    Args:
        scores, subjects: As for :func:`decoupled_qc.analysis.correlation.correlate`.
        target_dice: Lowest Dice that is good enough.
        error_rate: (0, 1), share of scans whose interval may miss.

    Returns:
        The columns ``COLUMNS``.
    """
    rows = []
    for names, one in tables.each_model(scores, subjects):
        if not {"dice:gm", tables.OURS} <= set(one):
            continue
        complete = one.dropna(subset=["dice:gm", tables.OURS])
        test = complete[tables.simulated(complete)]
        validation = complete[complete["condition"] == "validation"]
        parts = [(test, validation)]
        if validation.empty:
            parts = [(test[own], test[~own]) for own in held_out(test["subject"].to_numpy())]
        for scans, calibration in parts:
            found = _decided(scans, calibration, target_dice, error_rate)
            found["target_dice"], found["error_rate"] = target_dice, error_rate
            found["calibrated_on"] = OTHERS if validation.empty else VALIDATION
            rows += [{**names, **row} for row in found.to_dict("records")]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _decided(scans: pd.DataFrame, calibration: pd.DataFrame, target_dice: float, error_rate: float) -> pd.DataFrame:
    """Return the rows of some scans, from calibration scans of other subjects."""
    columns = ["scan", "subject", "anatomy", "artefact", "severity"]
    found = scans[columns].assign(score=scans[tables.OURS], dice=scans["dice:gm"])
    n = calibration["subject"].nunique()
    found["n_calibration_subjects"] = n
    if n < 2:
        return found.assign(verdict=REVIEW, note=f"no prediction: {n} calibration subjects, 2 are needed")
    ratio = interval_ratio(calibration, error_rate, predict_dice)
    predicted = predict_dice(calibration, scans)
    low, high = dice_interval(predicted, ratio)
    decided = verdict(low, high, target_dice)
    good = found["dice"].to_numpy() >= target_dice
    right = np.where(decided == REVIEW, "", np.where((decided == PASS) == good, "yes", "no"))
    note = "" if np.isfinite(ratio) else f"unbounded: {n} calibration subjects are too few for this error rate"
    return found.assign(predicted_dice=predicted, low=low, high=high, verdict=decided, right=right, note=note)


def verdict(low: np.ndarray, high: np.ndarray, target_dice: float) -> np.ndarray:
    """Return ``pass``, ``review`` or ``fail`` for intervals of Dice, see :func:`decisions`.

    Args:
        low, high: (n,) float, ends of each.
        target_dice: Lowest Dice that is good enough.
    """
    return np.select([low >= target_dice, high < target_dice], [PASS, FAIL], REVIEW)


def predict_dice(calibration: pd.DataFrame, scans: pd.DataFrame) -> np.ndarray:
    """Return Dice of scans by the curve of :func:`dice_curve`, straight between fitted scans, constant beyond them.

    Args:
        calibration: Scans to fit, with ``dice:gm`` and the score.
        scans: Scans to predict.
    """
    return np.interp(scans[tables.OURS].to_numpy(), *dice_curve(calibration))


def dice_curve(calibration: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores (n,), rising, and the Dice (n,) fitted to each by isotonic regression, falling.

    Args:
        calibration: Scans with ``dice:gm`` and the score.
    """
    fitted = calibration.groupby(tables.OURS)["dice:gm"].agg(["mean", "size"])  # equal scores, equal prediction
    curve = isotonic_regression(fitted["mean"].to_numpy(), weights=fitted["size"].to_numpy(), increasing=False).x
    return fitted.index.to_numpy(), curve


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
