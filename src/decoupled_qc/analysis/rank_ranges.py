"""Which places of a leaderboard each score could have with other subjects."""

import numpy as np
import pandas as pd

from decoupled_qc.analysis import meaning
from decoupled_qc.analysis import scores as tables
from decoupled_qc.analysis.correlation import degenerate, joined, notes_on, scan_sets
from decoupled_qc.analysis.resampling import Ranks, WeightedSpearman, expanded_tail, subject_draws
from decoupled_qc.seeds import rng_for

KEY = ("model", "replicate", "set", "target", "score", "aggregation")
COLUMNS = (
    *KEY, "rank_low", "rank_high", "share_first", "n_scans", "n_subjects", "n_anatomies", "n_boot", "note"
)  # fmt: skip


def rank_ranges(scores: pd.DataFrame, subjects: pd.DataFrame, *, n_boot: int, seed: int) -> pd.DataFrame:
    """Return the range of ranks of each score over draws of whole subjects that all scores share.

    In each draw scores are ranked by rho turned to the direction of their meaning, each on the scans that have it, as the
    leaderboard does with the sample; a score without a rho in a draw is last there, and a draw in which none has one does not
    count. From ``rank_low`` to ``rank_high`` is a 95 % range with the tails of
    :func:`decoupled_qc.analysis.resampling.percentile_interval`; ``share_first`` is the share of draws in which no score is
    stronger.

    Args:
        scores, subjects, n_boot, seed: As for :func:`decoupled_qc.analysis.correlation.correlate`.

    Returns:
        The columns ``COLUMNS``, of the sets that a leaderboard shows; ``note`` says why a score has no range.

    Source: the paired bootstrap of rankings of Wiesenfarth et al. 2021, Sci. Rep. 11:2369.
    """
    rows = []
    for names, one in tables.each_model(scores, subjects):
        for set_name, scans, target in scan_sets(one):
            if tables.TARGET_OF.get(set_name) == target.split(":")[0]:
                about = {**names, "set": set_name, "target": target.split(":")[0]}
                rows += [{**about, **row} for row in _of_set(scans, target, set_name, n_boot, seed)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _of_set(scans: pd.DataFrame, target: str, set_name: str, n_boot: int, seed: int) -> list[dict]:
    """Return a row for each score of a set."""
    scans = scans.dropna(subset=[target])
    rows, ranked, groups = {}, [], []
    for complete, group in tables.known_together(scans, [target], tables.score_columns(scans)):
        ranks, statistics = Ranks(complete[target].to_numpy()) if len(complete) else None, []
        for score in group:
            name, aggregation = score.split(":", 1)
            notes = notes_on(scans, complete, [target, score])
            rows[score] = {"score": name, "aggregation": aggregation, **tables.counted(complete), "n_boot": n_boot}
            rows[score]["note"] = "; ".join(notes)
            if not degenerate(notes) and scans["subject"].nunique() > 1:
                statistics.append(WeightedSpearman(complete[score].to_numpy(), ranks))
                ranked.append(score)
        if statistics:
            groups.append((scans.index.isin(complete.index), statistics))
    if ranked:
        direction = np.array([[meaning.direction(score)] for score in ranked])
        draws = []
        for weights in subject_draws(scans["subject"].to_numpy(), n_boot, rng_for(seed, "ranks", set_name)):
            of_known = [(weights.T[known].T, statistics) for known, statistics in groups]
            rho = np.stack([statistic(own) for own, statistics in of_known for statistic in statistics])
            exists = np.isfinite(rho).any(axis=0)  # not where the target is the same in all scans of the draw
            draws.append(_ranks(np.where(np.isnan(rho), -np.inf, rho * direction)[:, exists]))
        draws, tail = np.concatenate(draws, axis=1), expanded_tail(scans["subject"].nunique())
        for score, of_draw in zip(ranked, draws, strict=True):
            if len(of_draw):
                low, high = np.quantile(of_draw, [tail, 1 - tail], method="inverted_cdf").astype(int)
                rows[score] |= {"rank_low": low, "rank_high": high, "share_first": float((of_draw == 1).mean())}
            else:
                rows[score]["note"] = joined(rows[score]["note"], "no range: no draw has a rho")
    return list(rows.values())


def _ranks(strength: np.ndarray) -> np.ndarray:
    """Return (scores, draws) ranks, 1 for the strongest; equal ones share the better rank."""
    return 1 + (strength[None] > strength[:, None] + 1e-12).sum(axis=1)
