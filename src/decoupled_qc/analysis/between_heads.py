"""Whether two heads order scans alike, so that one of them says nothing of its own."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd

from decoupled_qc.analysis import scores as tables
from decoupled_qc.analysis.correlation import joined, over_draws
from decoupled_qc.analysis.decoupling import COLUMNS, heads_of, variance_of
from decoupled_qc.analysis.resampling import Ranks, WeightedSpearman, stated_interval, subject_draws
from decoupled_qc.seeds import rng_for


def between_heads(scores: pd.DataFrame, subjects: pd.DataFrame, *, n_boot: int, seed: int) -> pd.DataFrame:
    """Return Spearman's rho of each two heads' mean variances over simulated scans, clean ones included.

    1: they rise and fall together whatever the artefact; near 0: each has its own scans. Heads that answer to different
    artefacts are not at 0 but below it, since of one scan only one rises.

    Args:
        scores, subjects: As for :func:`decoupled_qc.analysis.correlation.correlate`.
        n_boot: Draws of the subject bootstrap.
        seed: The run's.

    Returns:
        The columns of :data:`decoupled_qc.analysis.decoupling.COLUMNS`, ``quantity`` ``head_correlation``, the two heads in
        ``artefact`` and ``head``; NaN with a reason in ``note`` where a number does not exist.

    Source: the orthogonality of de Jong et al. 2024, arXiv 2408.12175, for causes in place of kinds of uncertainty.
    """
    rows = []
    for names, one in tables.each_model(scores, subjects):
        heads = heads_of(one)
        scans = one[tables.simulated(one)]
        known = scans.dropna(subset=[variance_of(head) for head in heads])
        note = joined(*tables.left_out(len(known), len(scans), "a variance is missing"))
        if len(heads) > 1 and len(known):
            rows += [{**names, **row} for row in _rows(known, heads, note, n_boot, seed)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rows(scans: pd.DataFrame, heads: list[str], note: str, n_boot: int, seed: int) -> Iterator[dict]:
    """Yield a row a pair of heads; ``note`` is what holds for all."""
    ranks = {head: Ranks(scans[variance_of(head)].to_numpy()) for head in heads}
    pairs = [(pair, WeightedSpearman(*(ranks[head] for head in pair))) for pair in combinations(heads, 2)]
    counts = tables.counted(scans)
    chunks = subject_draws(scans["subject"].to_numpy(), n_boot, rng_for(seed, "between heads"))
    draws = over_draws([statistic for _, statistic in pairs], chunks)
    for ((first, second), statistic), of_pair in zip(pairs, draws, strict=True):
        rho = float(statistic(np.ones((1, len(scans))))[0])
        low, high, why = stated_interval(of_pair, counts["n_subjects"])
        why = why if np.isfinite(rho) else "no value: a variance is the same in all scans"
        yield {
            "set": "simulated",
            "quantity": "head_correlation",
            "artefact": first,
            "head": second,
            "value": rho,
            "ci_low": low,
            "ci_high": high,
            **counts,
            "n_boot": n_boot,
            "note": joined(note, why),
        }
