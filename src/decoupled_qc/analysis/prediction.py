"""The decision on each test scan, as a user's scan gets it: predicted Dice with an interval, and pass, review or fail."""

import numpy as np
import pandas as pd

from decoupled_qc.analysis import scores as tables
from decoupled_qc.analysis.conformal import OTHERS, VALIDATION, held_out
from decoupled_qc.analysis.expected_dice import dice_model, interval, needed, with_variances
from decoupled_qc.analysis.resampling import SHARE, mean_interval
from decoupled_qc.seeds import rng_for

COLUMNS = (
    "model", "replicate", "scan", "subject", "anatomy", "artefact", "severity", "dice", "predicted_dice",
    "low", "high", "verdict", "right", "calibrated_on", "n_calibration_subjects", "n_calibration_anatomies",
    "target_dice", "error_rate", "note",
)  # fmt: skip
COVERAGE_COLUMNS = (
    "model", "replicate", "scans", "level", "coverage", "ci_low", "ci_high", "n_scans", "n_subjects", "n_anatomies",
    "calibrated_on", "n_calibration_subjects", "n_calibration_anatomies", "n_boot", "note",
)  # fmt: skip
PASS, REVIEW, FAIL = "pass", "review", "fail"


def decisions(scores: pd.DataFrame, subjects: pd.DataFrame, *, target_dice: float, error_rate: float) -> pd.DataFrame:
    """Return what the variances of all artefacts predict of each simulated test scan's Dice, and the decision that follows.

    Dice is predicted by the curve of :mod:`decoupled_qc.analysis.expected_dice`, fitted on the validation subjects' scans, or on
    the other test subjects' where there are none, as ``calibrated_on`` says. Its interval,
    :func:`decoupled_qc.analysis.dice_interval.dice_interval`, is conformal by subject: made to hold the Dice of a new subject's
    scan with probability 1 - ``error_rate``. (Only nearly so, since the residuals come from fits without the subject and the
    prediction from the fit of all.) That asks for subjects who are exchangeable: where many are warps of few heads, as
    ``n_calibration_anatomies`` says, nothing is promised for a new head; :func:`decision_coverage` says what the intervals held.
    ``pass``: all of it is at or above ``target_dice``; ``fail``: all of it is below; ``review``: neither, so that
    wrong passes and fails together stay at that rate. ``right`` is empty for ``review``.

    Args:
        scores, subjects: As for :func:`decoupled_qc.analysis.correlation.correlate`.
        target_dice: Lowest Dice that is good enough.
        error_rate: (0, 1), share of scans whose interval may miss.

    Returns:
        The columns ``COLUMNS``, a row for each simulated test scan; ``note`` says why one has no prediction.
    """
    rows = []
    for names, one in tables.each_model(scores, subjects):
        one, heads = with_variances(one)
        if not heads or "dice:gm" not in one:
            continue
        known = one[["dice:gm", *needed(heads)]].notna().all(axis=1)
        test, validation = (one[known & of] for of in (tables.simulated(one), one["condition"] == "validation"))
        parts = [(test, validation)]
        if validation.empty:
            parts = [(test[own], test[~own]) for own in held_out(test["subject"].to_numpy())]
        found = [_decided(scans, calibration, heads, target_dice, error_rate) for scans, calibration in parts]
        lacking = one[tables.simulated(one) & ~known]
        if len(lacking):
            found.append(_identity(lacking).assign(verdict=REVIEW, note="no prediction: Dice or a variance is missing"))
        for of_part in found:
            of_part["target_dice"], of_part["error_rate"] = target_dice, error_rate
            of_part["calibrated_on"] = OTHERS if validation.empty else VALIDATION
            rows += [{**names, **row} for row in of_part.to_dict("records")]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _decided(
    scans: pd.DataFrame, calibration: pd.DataFrame, heads: list[str], target_dice: float, error_rate: float
) -> pd.DataFrame:
    """Return the rows of some scans, from calibration scans of other subjects."""
    n = calibration["subject"].nunique()
    counts = {"n_calibration_subjects": n, "n_calibration_anatomies": calibration["anatomy"].nunique()}
    found = _identity(scans).assign(**counts)
    if n < 2:
        return found.assign(verdict=REVIEW, note=f"no prediction: {n} calibration subjects, 2 are needed")
    model = dice_model(calibration, heads, error_rate)
    predicted, low, high = interval(scans, model, heads)
    decided = verdict(low, high, target_dice)
    good = found["dice"].to_numpy() >= target_dice
    right = np.where(decided == REVIEW, "", np.where((decided == PASS) == good, "yes", "no"))
    note = f"unbounded: {n} calibration subjects are too few for this error rate" if model["ratio"] is None else ""
    return found.assign(predicted_dice=predicted, low=low, high=high, verdict=decided, right=right, note=note)


def _identity(scans: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of a decision that are known before it."""
    columns = ["scan", "subject", "anatomy", "artefact", "severity"]
    return scans[columns].assign(dice=scans["dice:gm"])


def decision_coverage(decided: pd.DataFrame, *, n_boot: int, seed: int) -> pd.DataFrame:
    """Return in which share of scans the interval of the predicted Dice held Dice: all, clean ones, each artefact's.

    Args:
        decided: As :func:`decisions` returns it.
        n_boot: Draws of the subject bootstrap behind the share's interval (95 %).
        seed: The run's.

    Returns:
        The columns ``COVERAGE_COLUMNS``; NaN with a reason in ``note`` where a number does not exist.
    """
    rows = []
    for (model, replicate), own in decided.groupby(["model", "replicate"], sort=True):
        for name, scans in tables.all_and_each_kind(own):
            known = scans.dropna(subset=["dice", "predicted_dice"])
            row = {"model": model, "replicate": replicate, "scans": name, "level": 1 - own["error_rate"].iloc[0]}
            row |= {**tables.counted(known), "calibrated_on": own["calibrated_on"].iloc[0], "n_boot": n_boot}
            row |= {column: own[column].max() for column in ("n_calibration_subjects", "n_calibration_anatomies")}
            notes = tables.left_out(len(known), len(scans), "no prediction")
            if len(known):
                held = known["dice"].between(known["low"], known["high"]).to_numpy(dtype=float)
                rng = rng_for(seed, "decision coverage", name)
                found = mean_interval(held, known["subject"].to_numpy(), n_boot, rng, bounds=SHARE)
                row |= {"coverage": held.mean(), "ci_low": found[0], "ci_high": found[1]}
                notes += [note for note in (found[2], *known["note"].unique()) if note]
            rows.append({**row, "note": "; ".join(notes)})
    return pd.DataFrame(rows, columns=list(COVERAGE_COLUMNS))


def verdict(low: np.ndarray, high: np.ndarray, target_dice: float) -> np.ndarray:
    """Return ``pass``, ``review`` or ``fail`` for intervals of Dice, see :func:`decisions`.

    Args:
        low, high: () or (n,) float, ends of each.
        target_dice: Lowest Dice that is good enough.
    """
    return np.select([low >= target_dice, high < target_dice], [PASS, FAIL], REVIEW)
