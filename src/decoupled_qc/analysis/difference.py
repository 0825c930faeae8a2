"""Whether one score ranks scans better than the others do, on the same scans."""

import numpy as np
import pandas as pd

from decoupled_qc.analysis import meaning
from decoupled_qc.analysis import scores as tables
from decoupled_qc.analysis.correlation import degenerate, identity, notes_on, over_draws, scan_sets
from decoupled_qc.analysis.dependent import bootstrap_p, holm, steiger_test, williams_test, zou_interval
from decoupled_qc.analysis.resampling import (
    Ranks,
    WeightedSpearman,
    bca_interval,
    leave_one_out,
    spearman,
    stated_interval,
    subject_draws,
)
from decoupled_qc.seeds import rng_for

COLUMNS = (
    "model", "replicate", "set", "target", "score", "aggregation", "baseline", "baseline_aggregation",
    "difference", "ci_low", "ci_high", "bca_low", "bca_high", "p", "p_holm", "p_williams", "p_steiger", "zou_low", "zou_high",
    "difference_abs_rho", "n_scans", "n_subjects", "n_anatomies", "n_boot", "note",
)  # fmt: skip


def difference(scores: pd.DataFrame, subjects: pd.DataFrame, *, n_boot: int, seed: int) -> pd.DataFrame:
    """Return how much stronger rho of the artefact uncertainty is than that of every other score, on the same scans.

    Rho is turned to the direction that a score's meaning gives it, see :func:`decoupled_qc.analysis.meaning.strength`, so that a
    score which points the wrong way earns nothing; ``difference_abs_rho`` is of |rho|, which does not ask for the direction.

    Args:
        scores, subjects, n_boot, seed: As for :func:`decoupled_qc.analysis.correlation.correlate`.

    Returns:
        The columns ``COLUMNS``, for the sets of :func:`decoupled_qc.analysis.correlation.scan_sets`; see
        :func:`one_set`.
    """
    parts = [pd.DataFrame(columns=list(COLUMNS))]
    for names, one in tables.each_model(scores, subjects):
        for set_name, scans, target in scan_sets(one):
            if tables.OURS in one:
                baselines = [name for name in tables.score_columns(one) if name != tables.OURS]
                draws = {"n_boot": n_boot, "seed": seed}
                found = one_set(scans, target, tables.OURS, baselines, set_name=set_name, directed=True, **draws)
                parts.append(found.assign(**names, set=set_name))
    return pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)[list(COLUMNS)]


def one_set(
    scans: pd.DataFrame,
    target: str,
    score: str,
    baselines: list[str],
    *,
    set_name: str,
    directed: bool,
    n_boot: int,
    seed: int,
) -> pd.DataFrame:
    """Return how much stronger rho of one score is than that of each of some others, over one set of scans.

    Args:
        scans: A row a scan: ``subject``, ``anatomy``, the target and the scores as ``<name>:<aggregation>``.
        target, score, baselines: Columns.
        set_name: Names the draws, with the target and the baseline.
        directed: Whether to compare rho turned to the direction of each score's meaning, for a target that should be high; else
            |rho|, for scores and a target whose meaning is not known.
        n_boot, seed: As for :func:`decoupled_qc.analysis.correlation.correlate`. Both scores see the same draws.

    Returns:
        The columns ``COLUMNS`` from ``target`` on; above 0 favours ``score``. Not directed, of a rho near 0 a draw's |rho| is
        larger on average than the sample's, which leans against ``score``; BCa's ends, ``bca_low`` and ``bca_high``, allow for
        that, but cover less where subjects are few. ``p`` is the bootstrap's, that of the interval, and ``p_holm`` the same
        adjusted for all baselines of the set; ``p_williams``, ``p_steiger`` and the 95 % interval from ``zou_low`` to
        ``zou_high`` are the usual ones, which take scans for independent.
    """
    rows = {}
    for complete, group in tables.known_together(scans, [target, score], baselines):
        rng = rng_for(seed, "difference", set_name, target)
        rows |= _rows(scans, complete, target, score, group, directed, rng, n_boot)
    table = pd.DataFrame([rows[name] for name in baselines], columns=list(COLUMNS[COLUMNS.index("target") :]))
    return table.assign(p_holm=holm(table["p"]))


def _rows(
    scans: pd.DataFrame,
    complete: pd.DataFrame,
    target: str,
    score: str,
    baselines: list[str],
    directed: bool,
    rng: np.random.Generator,
    n_boot: int,
) -> dict[str, dict]:
    """Return a row of :func:`one_set` for each of some baselines known on the same scans, which share draws."""
    rows, notes = {}, {}
    for baseline in baselines:
        name, aggregation = baseline.split(":", 1)
        rows[baseline] = identity(target, score, complete, n_boot)
        rows[baseline] |= {"baseline": name, "baseline_aggregation": aggregation}
        notes[baseline] = notes_on(scans, complete, [target, score, baseline])
    known = [baseline for baseline in baselines if not degenerate(notes[baseline])]
    if known:
        values = {column: complete[column].to_numpy() for column in (target, score, *known)}
        ranks = Ranks(values[target])
        statistics = [WeightedSpearman(values[column], ranks) for column in (score, *known)]
        rho = over_draws(statistics, [np.ones((1, len(complete)))])[:, 0]
        meant = np.array([meaning.direction(column) for column in (score, *known)])
        strong = (lambda found: found * meant[:, None]) if directed else np.abs
        strength, turned = strong(rho[:, None])[:, 0], meant if directed else np.where(rho < 0, -1.0, 1.0)
        draws, n_subjects = None, complete["subject"].nunique()
        if n_subjects > 1:
            subject = complete["subject"].to_numpy()
            draws = strong(over_draws(statistics, subject_draws(subject, n_boot, rng)))
            jackknife = strong(over_draws(statistics, leave_one_out(subject)))
        for index, baseline in enumerate(known, start=1):
            row = rows[baseline]
            row["difference"] = strength[0] - strength[index]
            row["difference_abs_rho"] = abs(rho[0]) - abs(rho[index])
            if draws is not None:
                gains = draws[0] - draws[index]
                row["ci_low"], row["ci_high"], why = stated_interval(gains, n_subjects)
                notes[baseline] += [why] if why else []
                row["bca_low"], row["bca_high"] = bca_interval(
                    gains, row["difference"], jackknife[0] - jackknife[index]
                )
                row["p"] = bootstrap_p(gains, n_subjects)
            between = spearman(values[score], values[baseline]) * turned[0] * turned[index]
            correlations = strength[0], strength[index], between, len(complete)
            row["p_williams"], row["p_steiger"] = williams_test(*correlations)[1], steiger_test(*correlations)[1]
            row["zou_low"], row["zou_high"] = zou_interval(*correlations)
            if np.isnan([row["p_williams"], row["p_steiger"], row["zou_low"]]).any():
                notes[baseline].append(
                    "no Williams or Steiger p or Zou interval: both rank alike, or a rho is 1, or too few scans"
                )
    return {baseline: {**row, "note": "; ".join(notes[baseline])} for baseline, row in rows.items()}
