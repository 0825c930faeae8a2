"""Which places of a leaderboard each score could have with other subjects."""

import numpy as np
import pandas as pd

from decoupled_qc.analysis import scores as tables
from decoupled_qc.analysis.correlation import degenerate, notes_on, scan_sets
from decoupled_qc.analysis.resampling import Ranks, WeightedSpearman, expanded_tail, subject_draws
from decoupled_qc.seeds import rng_for

KEY = ("model", "replicate", "set", "target", "score", "aggregation")
COLUMNS = (*KEY, "rank_low", "rank_high", "share_first")


def rank_ranges(scores: pd.DataFrame, subjects: pd.DataFrame, *, n_boot: int, seed: int) -> pd.DataFrame:
    """Return the range of ranks of each score over draws of whole subjects that all scores share.

    In each draw scores are ranked by rho turned to the direction of their meaning, each on the scans that have it, as the
    leaderboard does with the sample; a score without a rho in a draw is last there. From ``rank_low`` to ``rank_high`` is a 95 %
    range with the tails of :func:`decoupled_qc.analysis.resampling.percentile_interval`; ``share_first`` is the share of draws in
    which no score is stronger.

    Args:
        scores, subjects, n_boot, seed: As for :func:`decoupled_qc.analysis.correlation.correlate`.

    Returns:
        The columns ``COLUMNS``, of the sets that a leaderboard shows and the scores that have a rho; none with one subject.

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
    ranked, groups = [], []
    for complete, group in tables.known_together(scans, [target], tables.score_columns(scans)):
        group = [score for score in group if not degenerate(notes_on(scans, complete, [target, score]))]
        if group:
            ranks = Ranks(complete[target].to_numpy())
            statistics = [WeightedSpearman(complete[score].to_numpy(), ranks) for score in group]
            groups.append((scans.index.isin(complete.index), statistics))
            ranked += group
    n_subjects = scans["subject"].nunique()
    if n_subjects < 2 or not ranked:
        return []
    direction = np.array([[tables.direction(score)] for score in ranked])
    ranks = []
    for weights in subject_draws(scans["subject"].to_numpy(), n_boot, rng_for(seed, "ranks", set_name)):
        of_known = [(weights.T[known].T, statistics) for known, statistics in groups]
        rho = np.stack([statistic(own) for own, statistics in of_known for statistic in statistics])
        ranks.append(_ranks(np.where(np.isnan(rho), -np.inf, rho * direction)))
    ranks, tail = np.concatenate(ranks, axis=1), expanded_tail(n_subjects)
    ends = np.quantile(ranks, [tail, 1 - tail], axis=1, method="inverted_cdf").astype(int)
    first = (ranks == 1).mean(axis=1)
    parts = [score.split(":", 1) for score in ranked]
    return [
        {"score": name, "aggregation": aggregation, "rank_low": low, "rank_high": high, "share_first": share}
        for (name, aggregation), low, high, share in zip(parts, *ends, first, strict=True)
    ]


def _ranks(strength: np.ndarray) -> np.ndarray:
    """Return (scores, draws) ranks, 1 for the strongest; equal ones share the better rank."""
    return 1 + (strength[None] > strength[:, None] + 1e-12).sum(axis=1)
