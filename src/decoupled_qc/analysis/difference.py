"""Whether one score ranks scans better than the others do, on the same scans."""

import numpy as np
import pandas as pd

from decoupled_qc.analysis import scores as tables
from decoupled_qc.analysis.correlation import degenerate, identity, notes_on, scan_sets
from decoupled_qc.analysis.dependent import bootstrap_p, holm, steiger_p, williams_p
from decoupled_qc.analysis.resampling import WeightedSpearman, percentile_interval, spearman, subject_draws
from decoupled_qc.seeds import rng_for

COLUMNS = (
    "model", "replicate", "set", "target", "score", "aggregation", "baseline", "baseline_aggregation",
    "difference", "ci_low", "ci_high", "p", "p_holm", "p_williams", "p_steiger",
    "n_scans", "n_subjects", "n_anatomies", "n_boot", "note",
)  # fmt: skip


def difference(scores: pd.DataFrame, subjects: pd.DataFrame, *, n_boot: int, seed: int) -> pd.DataFrame:
    """Return |rho| of the artefact uncertainty minus |rho| of every other score, on the same scans.

    Args:
        scores, subjects, n_boot, seed: As for :func:`decoupled_qc.analysis.correlation.correlate`.

    Returns:
        The columns ``COLUMNS``, for the sets ``simulated`` and ``real``; see :func:`one_set`.
    """
    parts = [pd.DataFrame(columns=list(COLUMNS))]
    for names, one in tables.each_model(scores, subjects):
        for set_name, scans, target in scan_sets(one):
            if set_name in ("simulated", "real") and tables.OURS in one:
                baselines = [name for name in tables.score_columns(one) if name != tables.OURS]
                found = one_set(scans, target, tables.OURS, baselines, set_name=set_name, n_boot=n_boot, seed=seed)
                parts.append(found.assign(**names, set=set_name))
    return pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)[list(COLUMNS)]


def one_set(
    scans: pd.DataFrame, target: str, score: str, baselines: list[str], *, set_name: str, n_boot: int, seed: int
) -> pd.DataFrame:
    """Return |rho| of one score minus |rho| of each of some others over one set of scans.

    Args:
        scans: A row a scan: ``subject``, ``anatomy``, the target and the scores as ``<name>:<aggregation>``.
        target, score, baselines: Columns.
        set_name: Names the draws, with the target and the baseline.
        n_boot, seed: As for :func:`decoupled_qc.analysis.correlation.correlate`. Both scores see the same draws.

    Returns:
        The columns ``COLUMNS`` from ``target`` on; above 0 favours ``score``. ``p`` is the bootstrap's and ``p_holm`` the same
        adjusted for all baselines; ``p_williams`` and ``p_steiger`` are the usual tests, which take scans for independent.
    """
    rows = [_row(scans, target, score, baseline, set_name, n_boot, seed) for baseline in baselines]
    table = pd.DataFrame(rows, columns=list(COLUMNS[COLUMNS.index("target") :]))
    return table.assign(p_holm=holm(table["p"]))


def _row(scans: pd.DataFrame, target: str, score: str, baseline: str, set_name: str, n_boot: int, seed: int) -> dict:
    """Return one row of :func:`one_set`."""
    complete = scans.dropna(subset=[target, score, baseline])
    row = identity(target, score, complete, n_boot)
    name, aggregation = baseline.split(":", 1)
    row.update(baseline=name, baseline_aggregation=aggregation, difference=np.nan)
    notes = notes_on(scans, complete, [target, score, baseline])
    if not degenerate(notes):
        values = {column: complete[column].to_numpy() for column in (target, score, baseline)}
        ours, theirs = (WeightedSpearman(values[column], values[target]) for column in (score, baseline))

        def gain(weights: np.ndarray) -> np.ndarray:
            return np.abs(ours(weights)) - np.abs(theirs(weights))

        row["difference"] = float(gain(np.ones((1, len(complete))))[0])
        if row["n_subjects"] > 1:
            rng = rng_for(seed, "bootstrap-difference", set_name, target, baseline)
            draws = subject_draws(complete["subject"].to_numpy(), n_boot, rng)
            gains = np.concatenate([gain(weights) for weights in draws])
            row["ci_low"], row["ci_high"] = percentile_interval(gains, row["n_subjects"])
            row["p"] = bootstrap_p(gains)
        row["p_williams"], row["p_steiger"] = _p_of_independent_scans(*values.values())
    return {**row, "note": "; ".join(notes)}


def _p_of_independent_scans(target: np.ndarray, score: np.ndarray, baseline: np.ndarray) -> tuple[float, float]:
    """Return the p of Williams' t and Steiger's Z, both scores turned so that they rise with the target."""
    ours, theirs = spearman(score, target), spearman(baseline, target)
    between = spearman(score, baseline) * np.sign(ours) * np.sign(theirs)
    correlations = abs(ours), abs(theirs), between, len(target)
    return williams_p(*correlations)[1], steiger_p(*correlations)[1]
