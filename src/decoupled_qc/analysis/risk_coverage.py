"""What a user gains by trusting a score: risk-coverage, and failures found at any Dice below which a scan failed."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from decoupled_qc.analysis import scores as tables
from decoupled_qc.analysis.ranking import WeightedRanking
from decoupled_qc.analysis.resampling import percentile_interval, subject_draws
from decoupled_qc.seeds import rng_for

COLUMNS = (
    "model", "replicate", "set", "score", "aggregation", "measure", "dice_cut", "value", "ci_low", "ci_high",
    "oracle", "random", "threshold", "n_scans", "n_failed", "n_subjects", "n_anatomies", "n_validation_subjects", "n_boot",
    "note",
)  # fmt: skip
DETECTION = ("auroc", "auprc", "fpr_at_95_tpr")


def risk_coverage(
    scores: pd.DataFrame, subjects: pd.DataFrame, *, dice_cuts: Sequence[float], n_boot: int, seed: int
) -> pd.DataFrame:
    """Return how well each score sorts the simulated scans for use, with risk = 1 - Dice.

    ``aurc`` and ``augrc`` as :class:`decoupled_qc.analysis.ranking.WeightedRanking` defines them; ``e_aurc`` is AURC
    above the oracle's, which sorts by Dice itself. ``auroc``, ``auprc`` and ``fpr_at_95_tpr`` are of scans with Dice
    below each cut. A score's direction is that of :func:`decoupled_qc.analysis.scores.distrust`, never fitted.

    Args:
        scores, subjects: As for :func:`decoupled_qc.analysis.correlation.correlate`.
        dice_cuts: Dice below which a scan counts as failed.
        n_boot: Draws of the subject bootstrap behind ``ci_low`` and ``ci_high`` (95 %).
        seed: The run's.

    Returns:
        The columns ``COLUMNS``; NaN with a reason in ``note`` where a number does not exist. ``threshold`` and
        ``n_validation_subjects`` are for :mod:`decoupled_qc.analysis.working_point`, and NaN here.
    """
    rows = []
    for names, one in tables.each_model(scores, subjects):
        scans = one[tables.simulated(one)]
        if "dice:gm" not in scans:
            continue
        for score in tables.score_columns(one):
            rows += [{**names, "set": "simulated", **row} for row in _of_score(scans, score, dice_cuts, n_boot, seed)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _of_score(scans: pd.DataFrame, score: str, dice_cuts: Sequence[float], n_boot: int, seed: int) -> list[dict]:
    """Return the rows of one score."""
    complete = scans.dropna(subset=["dice:gm", score])
    name, aggregation = score.split(":", 1)
    row = {
        "score": name,
        "aggregation": aggregation,
        **tables.counted(complete),
        "n_boot": n_boot,
    }
    notes = [f"{len(scans) - len(complete)} of {len(scans)} scans left out: a value is missing"]
    notes = notes if len(complete) < len(scans) else []
    measures = {measure: np.nan for measure in ("aurc", "e_aurc", "augrc")}
    if complete.empty:
        return [{**row, "measure": measure, "note": "; ".join([*notes, "no scan"])} for measure in measures]
    loss = 1 - complete["dice:gm"].to_numpy()
    ranking, oracle = WeightedRanking(tables.distrust(complete, score)), WeightedRanking(loss)
    once = np.ones((1, len(loss)))
    best = {"aurc": oracle.aurc(once, loss)[0], "augrc": oracle.augrc(once, loss)[0], "e_aurc": 0.0}
    chance = {"aurc": loss.mean(), "augrc": loss.mean() * (len(loss) + 1) / (2 * len(loss))}
    chance["e_aurc"] = chance["aurc"] - best["aurc"]
    failures = {cut: complete["dice:gm"].to_numpy() < cut for cut in dice_cuts}

    def statistics(weights: np.ndarray) -> dict[tuple[str, float], np.ndarray]:
        aurc = ranking.aurc(weights, loss)
        found = {("aurc", np.nan): aurc, ("e_aurc", np.nan): aurc - oracle.aurc(weights, loss)}
        found["augrc", np.nan] = ranking.augrc(weights, loss)
        for cut, failed in failures.items():
            found |= {(measure, cut): getattr(ranking, measure)(weights, failed) for measure in DETECTION}
        return found

    intervals = _intervals(statistics, complete["subject"].to_numpy(), n_boot, rng_for(seed, "risk", score))
    rows = []
    for (measure, cut), value in statistics(once).items():
        found = {"measure": measure, "dice_cut": cut, "value": float(value[0])}
        found |= {"oracle": best.get(measure, np.nan), "random": chance.get(measure, np.nan)}
        own = list(notes)
        if measure in DETECTION:
            failed = failures[cut]
            found |= {"n_failed": int(failed.sum()), "oracle": float(measure != "fpr_at_95_tpr")}
            found["random"] = {"auroc": 0.5, "auprc": failed.mean(), "fpr_at_95_tpr": 0.95}[measure]
            if failed.all() or not failed.any():
                own.append(f"no value: {'every' if failed.all() else 'no'} scan has Dice below {cut:g}")
        found["ci_low"], found["ci_high"] = intervals[measure, cut]
        if row["n_subjects"] == 1:
            own.append("no interval: one subject")
        rows.append({**row, **found, "note": "; ".join(own)})
    return rows


def _intervals(
    statistics: Callable[[np.ndarray], dict], subject: np.ndarray, n_boot: int, rng: np.random.Generator
) -> dict:
    """Return the interval of every statistic, all on the same draws of whole subjects."""
    keys = statistics(np.ones((1, len(subject)))).keys()
    n_subjects = len(np.unique(subject))
    if n_subjects < 2:
        return dict.fromkeys(keys, (np.nan, np.nan))
    draws = [statistics(weights) for weights in subject_draws(subject, n_boot, rng)]
    return {key: percentile_interval(np.concatenate([draw[key] for draw in draws]), n_subjects) for key in keys}
