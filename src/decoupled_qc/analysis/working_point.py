"""How many failed scans a threshold finds, and good ones it spares, if it was set on other subjects."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from decoupled_qc.analysis import meaning
from decoupled_qc.analysis import scores as tables
from decoupled_qc.analysis.resampling import SHARE, mean_interval
from decoupled_qc.analysis.risk_coverage import COLUMNS
from decoupled_qc.seeds import rng_for

SENSITIVITY = 0.95  # of the threshold on the validation subjects


def working_points(
    scores: pd.DataFrame, subjects: pd.DataFrame, *, dice_cuts: Sequence[float], n_boot: int, seed: int
) -> pd.DataFrame:
    """Return sensitivity and specificity on simulated test scans at each score's threshold from the validation subjects.

    The threshold is the strictest that finds 95 % of the validation scans with Dice below a cut. ``sensitivity``: share of the
    failed test scans that it finds; ``specificity``: share of the good ones that it lets pass; higher is better for both. Unlike
    ``fpr_at_95_tpr``, nothing here has seen a test scan, so the sensitivity may miss 95 %.

    Args:
        scores, subjects: As for :func:`decoupled_qc.analysis.correlation.correlate`.
        dice_cuts: Dice below which a scan counts as failed.
        n_boot: Draws of the subject bootstrap behind ``ci_low`` and ``ci_high`` (95 %).
        seed: The run's.

    Returns:
        The columns of :data:`decoupled_qc.analysis.risk_coverage.COLUMNS`; ``threshold`` is in the score's own direction. NaN
        with a reason in ``note`` where a number does not exist.
    """
    rows = []
    for names, one in tables.each_model(scores, subjects):
        if "dice:gm" not in one:
            continue
        for score in tables.score_columns(one):
            complete = one.dropna(subset=["dice:gm", score])
            test, validation = complete[tables.simulated(complete)], complete[complete["condition"] == "validation"]
            notes = []
            for kind, found, members in (
                ("test", test, tables.simulated(one)),
                ("validation", validation, one["condition"] == "validation"),
            ):
                if len(found) < members.sum():
                    left_out = f"{members.sum() - len(found)} of {members.sum()}"
                    notes.append(f"{left_out} {kind} scans left out: a value is missing")
            for cut in dice_cuts:
                found = _at_cut(test, validation, score, cut, notes, n_boot, seed)
                rows += [{**names, "set": "simulated", "dice_cut": cut, "n_boot": n_boot, **row} for row in found]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _at_cut(
    test: pd.DataFrame, validation: pd.DataFrame, score: str, cut: float, left_out: list[str], n_boot: int, seed: int
) -> Iterator[dict]:
    """Yield the two rows of a score and a cut, with the notes of scans that were left out."""
    metric, aggregation = score.split(":", 1)
    to_find = validation[validation["dice:gm"] < cut]
    failed = test["dice:gm"] < cut
    limit = _limit(meaning.distrust(to_find, score))
    flagged = meaning.distrust(test, score) >= limit
    turn = -float(meaning.direction(score))
    for measure, members, right, kind in (
        ("sensitivity", failed, flagged, "failed"),
        ("specificity", ~failed, ~flagged, "good"),
    ):
        of_it, values = test[members], right[members.to_numpy()].astype(float)
        notes = [] if len(of_it) else [f"no value: no {kind} scan among the test scans"]
        if math.isnan(limit):
            known = "no validation scan has" if len(validation) else "the score is on no validation scan with"
            notes.append(f"no threshold: {known} Dice below {cut:g}")
        row = {
            "score": metric,
            "aggregation": aggregation,
            "measure": measure,
            "threshold": turn * limit,
            **tables.counted(of_it),
            "n_failed": int(failed.sum()),
            "n_validation_subjects": validation["subject"].nunique(),
        }
        if not notes:
            row["value"] = values.mean()
            rng = rng_for(seed, "working point", measure, score, cut)
            subject = of_it["subject"].to_numpy()
            row["ci_low"], row["ci_high"], note = mean_interval(values, subject, n_boot, rng, bounds=SHARE)
            notes += [note] if note else []
        yield {**row, "note": "; ".join([*left_out, *notes])}


def _limit(distrust: np.ndarray) -> float:
    """Return the highest value that the wanted share of scans reaches; NaN for no scan."""
    n = len(distrust)
    return float(np.sort(distrust)[n - math.ceil(SENSITIVITY * n - 1e-9)]) if n else math.nan
