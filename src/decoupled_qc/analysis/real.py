"""Scans with real artefacts: do scores find what raters call bad, and do they rise with motion within one person?"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from decoupled_qc.analysis import meaning
from decoupled_qc.analysis import scores as tables
from decoupled_qc.analysis.correlation import MOST_LEVELS
from decoupled_qc.analysis.polyserial import WeightedPolyserial
from decoupled_qc.analysis.ranking import WeightedRanking
from decoupled_qc.analysis.resampling import SHARE, WeightedSpearman, spearman, stated_interval, subject_draws
from decoupled_qc.cohort.manifest import REAL
from decoupled_qc.rating.judgements import acquisition
from decoupled_qc.seeds import rng_for

COLUMNS = ["model", "replicate", "quantity", "score", "aggregation", "contrast", "value", "ci_low", "ci_high"]
COLUMNS += ["n_scans", "n_subjects", "note"]
MIN_PAIRS = 3


def real_artefacts(scores: pd.DataFrame, subjects: pd.DataFrame, *, n_boot: int, seed: int) -> pd.DataFrame:
    """Return how well every score of the real set finds what raters call bad.

    ``auroc``: how well it finds scans rated at most so good (``contrast``: ``rating <= 2``), scores turned so that higher is
    worse; 0.5 is chance. ``change``: the share of people in whom it is worse in one acquisition than in another
    (``contrast``: ``standard -> headmotion1``), ties half; 0.5 is chance. ``volume_change``: Spearman's rho of
    the artefact uncertainty's change and the absolute change of the grey-matter volume, in per cent, from the scan with the best
    rating. Higher is better in all three. ``polyserial``: the correlation of the score with the quality that a rating of at most
    10 levels stands for (``contrast``: ``rating``); it has the score's sign, as rho has.

    Args:
        scores: As :func:`decoupled_qc.analysis.scores.read_scores` returns it.
        subjects: As :func:`decoupled_qc.analysis.scores.read_subjects` returns it.
        n_boot: Draws of the subject bootstrap behind ``ci_low`` and ``ci_high``, see
            :func:`decoupled_qc.analysis.resampling.percentile_interval`.
        seed: The run's.

    Returns:
        The columns ``COLUMNS``; a row for each contrast that the set allows (two ratings, three people with both
        scans).
    """
    rows = []
    for names, one in tables.each_model(scores, subjects):
        real = one[one["condition"] == REAL]
        rating = next((name for name in real if name.startswith("rating:")), None)
        if rating is None or real.empty:
            continue
        for score in tables.score_columns(real):
            of_rating = (*_auroc(real, rating, score, n_boot, seed), *_polyserial(real, rating, score, n_boot, seed))
            rows += [{**names, **row} for row in (*of_rating, *_changes(real, score, n_boot, seed))]
        if tables.OURS in real and "volume_ml:gm" in real:
            rows += [{**names, **row} for row in _volume_change(real, rating, n_boot, seed)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _auroc(real: pd.DataFrame, rating: str, score: str, n_boot: int, seed: int) -> Iterator[dict]:
    complete = real.dropna(subset=[rating, score])
    levels = sorted(complete[rating].unique())
    ranking = WeightedRanking(meaning.distrust(complete, score)) if len(complete) else None
    for level in levels[:-1]:
        failed = (complete[rating] <= level).to_numpy()
        draws = _over_draws(
            complete, lambda weights, failed=failed: ranking.auroc(weights, failed), n_boot, seed, score
        )
        value = float(ranking.auroc(np.ones((1, len(complete))), failed)[0])
        yield _row("auroc", score, f"rating <= {level:g}", value, draws, complete)


def _polyserial(real: pd.DataFrame, rating: str, score: str, n_boot: int, seed: int) -> Iterator[dict]:
    complete = real.dropna(subset=[rating, score])
    if 1 < complete[rating].nunique() <= MOST_LEVELS and complete[score].nunique() > 1:
        statistic = WeightedPolyserial(complete[score].to_numpy(), complete[rating].to_numpy())
        draws = _over_draws(complete, statistic, n_boot, seed, score)
        yield _row("polyserial", score, "rating", float(statistic(np.ones((1, len(complete))))[0]), draws, complete)


def _changes(real: pd.DataFrame, score: str, n_boot: int, seed: int) -> Iterator[dict]:
    """Yield a row per ordered pair of acquisitions, the one with the better mean rating first."""
    rating = next(name for name in real if name.startswith("rating:"))
    named = real.assign(acquisition=real["scan"].map(acquisition), bad=meaning.distrust(real, score))
    named = named[named["acquisition"] != ""]
    order = named.groupby("acquisition")[rating].mean().sort_values(ascending=False).index.tolist()
    wide = named.pivot_table(index="subject", columns="acquisition", values="bad", aggfunc="mean")
    for index, good in enumerate(order):
        for bad in order[index + 1 :]:
            pairs = wide.reindex(columns=[good, bad]).dropna().reset_index()
            worse = (np.sign(pairs[bad] - pairs[good]) + 1).to_numpy() / 2
            if len(worse) < MIN_PAIRS:
                continue
            draws = _over_draws(
                pairs, lambda weights, worse=worse: weights @ worse / weights.sum(axis=1), n_boot, seed, score
            )
            yield _row("change", score, f"{good} -> {bad}", float(worse.mean()), draws, pairs, n_scans=2 * len(pairs))


def _volume_change(real: pd.DataFrame, rating: str, n_boot: int, seed: int) -> Iterator[dict]:
    """Yield rho of volume change and uncertainty change from each person's best-rated scan."""
    complete = real.dropna(subset=[rating, tables.OURS, "volume_ml:gm"])
    # Of equal ratings the first by name, whatever its score.
    ordered = complete.sort_values([rating, "scan"], ascending=[False, True])
    best = ordered.drop_duplicates("subject").set_index("subject")
    others = complete[~complete["scan"].isin(best["scan"])]
    volume, uncertainty = (others["subject"].map(best[name]) for name in ("volume_ml:gm", tables.OURS))
    moved = others.assign(
        volume=(100 * (others["volume_ml:gm"] / volume - 1)).abs(), uncertainty=others[tables.OURS] - uncertainty
    ).dropna(subset=["volume", "uncertainty"])
    if len(moved) < MIN_PAIRS or moved["volume"].nunique() == 1 or moved["uncertainty"].nunique() == 1:
        return
    x, y = moved["uncertainty"].to_numpy(), moved["volume"].to_numpy()

    draws = _over_draws(moved, WeightedSpearman(x, y), n_boot, seed, "volume")
    yield _row("volume_change", tables.OURS, "from the best-rated scan", spearman(x, y), draws, moved)


def _over_draws(scans: pd.DataFrame, statistic, n_boot: int, seed: int, name: str) -> np.ndarray:
    """Return a statistic over draws of whole subjects; empty with one subject."""
    subject = scans["subject"].to_numpy()
    if len(set(subject)) < 2:
        return np.array([])
    rng = rng_for(seed, "bootstrap", REAL, name)
    return np.concatenate([statistic(weights) for weights in subject_draws(subject, n_boot, rng)])


def _row(
    quantity: str,
    score: str,
    contrast: str,
    value: float,
    draws: np.ndarray,
    scans: pd.DataFrame,
    n_scans: int | None = None,
) -> dict:
    bounds = SHARE if quantity == "change" else None
    low, high, note = stated_interval(draws, scans["subject"].nunique(), value, bounds)
    metric, aggregation = score.split(":", 1)
    return {
        "quantity": quantity,
        "score": metric,
        "aggregation": aggregation,
        "contrast": contrast,
        "value": value,
        "ci_low": low,
        "ci_high": high,
        "n_scans": n_scans or len(scans),
        "n_subjects": scans["subject"].nunique(),
        "note": note,
    }
