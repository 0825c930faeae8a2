"""Whether the variance of a mixture of artefacts is the sum of the variances that they bring alone."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from decoupled_qc.analysis import scores as tables
from decoupled_qc.analysis.decoupling import COLUMNS
from decoupled_qc.analysis.resampling import stated_interval, subject_draws
from decoupled_qc.causes import NO_ARTEFACT
from decoupled_qc.seeds import rng_for

MIXED = "mix"  # the condition


def additivity(scores: pd.DataFrame, subjects: pd.DataFrame, *, n_boot: int, seed: int) -> pd.DataFrame:
    """Return the slope of a mixture's artefact uncertainty on the sum of its parts', with subject-bootstrap intervals.

    slope = sum x y / sum x^2 over scans, y = Q(mixture) - Q(clean), x = sum over its artefacts of Q(artefact) - Q(clean),
    all of the same subject, each artefact in the same realisation alone and mixed. 1: variances add, as the model takes for
    granted; below 1: a mixture is taken for less than its parts.

    Args:
        scores, subjects: As for :func:`decoupled_qc.analysis.correlation.correlate`.
        n_boot: Draws of the subject bootstrap.
        seed: The run's.

    Returns:
        The columns of :data:`decoupled_qc.analysis.decoupling.COLUMNS`, ``quantity`` ``additivity_slope``, a row per mixture
        and one of all; NaN with a reason in ``note`` where a number does not exist.

    Source: Shaw et al. 2021, section 4 (total variance as a sum over causes); the test is ours.
    """
    rows = []
    for names, one in tables.each_model(scores, subjects):
        if tables.OURS in one and one["condition"].eq(MIXED).any():
            rows += [{**names, **row} for row in _rows(_pairs(one), n_boot, seed)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _pairs(wide: pd.DataFrame) -> pd.DataFrame:
    """Return a row a mixed scan: subject, anatomy, artefact, ``parts`` (x) and ``mixture`` (y); NaN where a part is missing."""
    single = wide[tables.simulated(wide)].groupby(["subject", "artefact"])[tables.OURS].mean()
    clean = single[single.index.get_level_values("artefact") == NO_ARTEFACT].droplevel("artefact")
    mixed = wide[wide["condition"] == MIXED]
    base = mixed["subject"].map(clean)
    parts = [
        sum(single.get((subject, name), np.nan) - clean.get(subject, np.nan) for name in artefact.split("+"))
        for subject, artefact in zip(mixed["subject"], mixed["artefact"], strict=True)
    ]
    found = mixed[["subject", "anatomy", "artefact"]]
    return found.assign(parts=np.array(parts, dtype=float), mixture=mixed[tables.OURS] - base)


def _rows(pairs: pd.DataFrame, n_boot: int, seed: int) -> Iterator[dict]:
    groups = [("all", pairs), *pairs.groupby("artefact", sort=True)]
    for name, group in groups:
        complete = group.dropna(subset=["parts", "mixture"])
        x, y, subject = (complete[column].to_numpy() for column in ("parts", "mixture", "subject"))
        row = {
            "set": "mixtures",
            "quantity": "additivity_slope",
            "artefact": name,
            "head": "all",
            **tables.counted(complete),
            "n_boot": n_boot,
        }
        notes = tables.left_out(len(complete), len(group), "clean scan or a part of the mixture missing")
        if not (x**2).sum() > 0:
            yield {**row, "note": "; ".join([*notes, "no value: the parts bring no variance"])}
            continue
        row["value"] = float(x @ y / (x @ x))
        rng = rng_for(seed, "additivity", name)
        draws = [(w @ (x * y)) / np.maximum(w @ x**2, 1e-12) for w in subject_draws(subject, n_boot, rng)]
        row["ci_low"], row["ci_high"], note = stated_interval(np.concatenate(draws), row["n_subjects"])
        yield {**row, "note": "; ".join([*notes, note] if note else notes)}
