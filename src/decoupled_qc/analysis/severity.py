"""Whether a score and Dice move one way as an artefact grows, subject by subject."""

import numpy as np
import pandas as pd
from scipy import stats

from decoupled_qc.analysis import meaning
from decoupled_qc.analysis import scores as tables
from decoupled_qc.analysis.resampling import mean_interval
from decoupled_qc.seeds import rng_for

COLUMNS = (
    "model", "replicate", "artefact", "measure", "aggregation", "tau", "ci_low", "ci_high", "share_increasing",
    "page_l", "page_p", "page_n_subjects", "n_severities", "n_scans", "n_subjects", "n_anatomies", "n_boot", "note",
)  # fmt: skip


def severity_trend(scores: pd.DataFrame, subjects: pd.DataFrame, *, n_boot: int, seed: int) -> pd.DataFrame:
    """Return the trend of every score, and of Dice, along each sweep of an artefact's severity.

    ``tau`` is Kendall's tau-b of severity with the score turned so that higher is worse (Dice: 1 - Dice), taken in each
    subject and averaged: 1 if it rises at every step. ``share_increasing``: subjects in whom it rises at every step.
    ``page_l``: Page's L, the sum over severities of their place times the sum over subjects of the ranks there, and
    ``page_p`` its one-sided p for "no subject's values rise", SciPy's exact one where that is feasible, else its normal
    approximation, neither corrected for ties; of the ``page_n_subjects`` with all severities, at least three of these.

    Args:
        scores, subjects: As for :func:`decoupled_qc.analysis.correlation.correlate`.
        n_boot: Draws of the subject bootstrap behind ``ci_low`` and ``ci_high`` (95 %).
        seed: The run's.

    Returns:
        The columns ``COLUMNS``; a subject whose values are all equal counts as tau 0.

    Source: Page 1963, J. Am. Stat. Assoc. 58:216.
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
    complete = scans.dropna(subset=[measure, "severity"])
    taus, increasing, rising = [], [], []
    severities = np.unique(complete["severity"])
    for _, own in complete.sort_values("severity").groupby("subject"):
        if own["severity"].nunique() < 2:
            continue
        values = -own[measure].to_numpy() if measure == "dice:gm" else meaning.distrust(own, measure)
        # SciPy has no tau where all values are equal: no trend.
        taus.append(float(stats.kendalltau(own["severity"], values).statistic) if np.ptp(values) > 0 else 0.0)
        increasing.append(bool((np.diff(values) > 0).all()))
        if np.array_equal(own["severity"], severities):
            rising.append(values)
    name, aggregation = measure.split(":", 1)
    notes = tables.left_out(len(complete), len(scans))
    rng = rng_for(seed, "severity", artefact, measure)
    low, high, note = mean_interval(np.array(taus), np.arange(len(taus)), n_boot, rng, bounds=(-1.0, 1.0))
    notes.append(note if taus else "no tau: no subject with two severities")
    page_l, page_p = np.nan, np.nan
    if len(severities) < 3 or len(rising) < 2:
        notes.append("no Page's L: it needs three severities and two subjects with all of them")
    else:
        page = stats.page_trend_test(np.array(rising))
        page_l, page_p = float(page.statistic), float(page.pvalue)
    return {
        "artefact": artefact,
        "measure": name,
        "aggregation": aggregation,
        "tau": float(np.mean(taus)) if taus else np.nan,
        "ci_low": low,
        "ci_high": high,
        "share_increasing": float(np.mean(increasing)) if taus else np.nan,
        "page_l": page_l,
        "page_p": page_p,
        "page_n_subjects": len(rising),
        "n_severities": len(severities),
        "n_scans": len(complete),
        "n_subjects": len(taus),
        "n_anatomies": complete["anatomy"].nunique(),
        "n_boot": n_boot,
        "note": "; ".join(filter(None, notes)),
    }
