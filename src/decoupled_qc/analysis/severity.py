"""Whether a score and Dice move one way as an artefact grows, subject by subject."""

import numpy as np
import pandas as pd

from decoupled_qc.analysis import scores as tables
from decoupled_qc.analysis.resampling import mean_interval
from decoupled_qc.seeds import rng_for

COLUMNS = (
    "model", "replicate", "artefact", "measure", "aggregation", "tau", "ci_low", "ci_high", "share_increasing",
    "n_severities", "n_scans", "n_subjects", "n_anatomies", "n_boot", "note",
)  # fmt: skip


def severity_trend(scores: pd.DataFrame, subjects: pd.DataFrame, *, n_boot: int, seed: int) -> pd.DataFrame:
    """Return the trend of every score, and of Dice, along each sweep of an artefact's severity.

    ``tau`` is Kendall's tau-b of severity with the score turned so that higher is worse (Dice: 1 - Dice), taken in each
    subject and averaged: 1 if it rises at every step. ``share_increasing``: subjects in whom it rises at every step.

    Args:
        scores, subjects: As for :func:`decoupled_qc.analysis.correlation.correlate`.
        n_boot: Draws of the subject bootstrap behind ``ci_low`` and ``ci_high`` (95 %).
        seed: The run's.

    Returns:
        The columns ``COLUMNS``; a subject whose values are all equal counts as tau 0.
    """
    rows = []
    for names, one in tables.each_model(scores, subjects):
        for condition in sorted(set(one["condition"][one["condition"].str.startswith("sweep-")])):
            scans = one[one["condition"] == condition]
            for measure in ("dice:gm", *tables.score_columns(one)):
                if measure in scans:
                    rows.append({**names, **_trend(scans, condition.removeprefix("sweep-"), measure, n_boot, seed)})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _trend(scans: pd.DataFrame, artefact: str, measure: str, n_boot: int, seed: int) -> dict:
    """Return one row."""
    complete = scans.dropna(subset=[measure, "severity"]).sort_values(["subject", "severity"])
    values = -complete[measure].to_numpy() if measure == "dice:gm" else tables.distrust(complete, measure)
    taus, increasing = _of_subjects(complete["subject"], complete["severity"].to_numpy(), values)
    name, aggregation = measure.split(":", 1)
    notes = [f"{len(scans) - len(complete)} of {len(scans)} scans left out: a value is missing"]
    notes = notes if len(complete) < len(scans) else []
    rng = rng_for(seed, "severity", artefact, measure)
    low, high, note = mean_interval(taus, np.arange(len(taus)), n_boot, rng, bounds=(-1.0, 1.0))
    notes.append(note if len(taus) else "no tau: no subject with two severities")
    return {
        "artefact": artefact,
        "measure": name,
        "aggregation": aggregation,
        "tau": float(np.mean(taus)) if len(taus) else np.nan,
        "ci_low": low,
        "ci_high": high,
        "share_increasing": float(np.mean(increasing)) if len(taus) else np.nan,
        "n_severities": complete["severity"].nunique(),
        "n_scans": len(complete),
        "n_subjects": len(taus),
        "n_anatomies": complete["anatomy"].nunique(),
        "n_boot": n_boot,
        "note": "; ".join(filter(None, notes)),
    }


def _of_subjects(subject: pd.Series, severity: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return tau-b, 0 without a trend, and whether the value rises at every step, of each subject with two severities.

    tau-b = sum of sign(severity pair) sign(value pair) / sqrt(pairs that differ in severity * pairs that differ in value).

    Args:
        subject: (n,), sorted by severity within each.
        severity, values: (n,) float.
    """
    row, place = subject.factorize()[0], subject.groupby(subject).cumcount().to_numpy()
    signs, size = [], (row.max(initial=-1) + 1, place.max(initial=-1) + 1)
    for side in (severity, values):
        padded = np.full(size, np.nan)
        padded[row, place] = side
        signs.append(np.sign(padded[:, None, :] - padded[:, :, None]))  # (subjects, first of a pair, second)
    rising = np.diagonal(signs[1], 1, 1, 2)
    agreeing, in_severity, in_value = (
        np.nansum(product, axis=(1, 2)) for product in (signs[0] * signs[1], signs[0] ** 2, signs[1] ** 2)
    )
    several, differ = in_severity > 0, in_severity * in_value
    tau = np.divide(agreeing, np.sqrt(differ), out=np.zeros(len(agreeing)), where=differ > 0)
    return tau[several], ((rising > 0) | np.isnan(rising)).all(axis=1)[several]
