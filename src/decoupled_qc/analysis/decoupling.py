"""How far each head answers to its own artefact and to no other."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from decoupled_qc.analysis import scores as tables
from decoupled_qc.analysis.resampling import SHARE, stated_interval, subject_draws
from decoupled_qc.seeds import rng_for

COLUMNS = (
    "model", "replicate", "set", "quantity", "artefact", "head", "value", "ci_low", "ci_high",
    "n_scans", "n_subjects", "n_anatomies", "n_boot", "note",
)  # fmt: skip
PREFIX, SUFFIX = "variance_", ":mean"
TASK = "task"


def decoupling(scores: pd.DataFrame, subjects: pd.DataFrame, *, n_boot: int, seed: int) -> pd.DataFrame:
    """Return the leakage matrix, attribution and decoupling index of each network, with subject-bootstrap intervals.

    All rest on z, how far a head's log mean variance rises from the same subject's clean scan, in standard deviations
    (n - 1) of that head's log mean variance over clean scans. Quantities:

    - ``leakage``: mean z of a head on an artefact's scans; its own row should be large, all others 0.
    - ``task_drift``: the same of the task's variance, 0 if the task's head ignores artefacts.
    - ``attribution``: share of an artefact's scans on which this head has the largest z (rows of the confusion matrix).
    - ``attribution_accuracy``: mean over artefacts of the share given to the right head; chance is 1 / heads.
    - ``decoupling_index``: see :func:`decoupling_index`; 0 none, 1 perfect.

    Sets: ``simulated``, one scan of each artefact at a severity drawn for it, and ``matched``, the sweeps, in which
    all artefacts have the same severities (unequal ones look like leakage).

    Args:
        scores, subjects: As for :func:`decoupled_qc.analysis.correlation.correlate`.
        n_boot: Draws of the subject bootstrap; the clean standard deviation is drawn anew in each, see :meth:`_Rises.unit`.
        seed: The run's.

    Returns:
        The columns ``COLUMNS``; NaN with a reason in ``note`` where a number does not exist.

    Source: after the disentanglement score of Eastwood & Williams 2018 (ICLR), rows being artefacts.
    """
    rows = []
    for names, one in tables.each_model(scores, subjects):
        heads = heads_of(one)
        sets = {
            "simulated": one["condition"].str.startswith("sim-"),
            "matched": one["condition"].str.startswith("sweep-"),
        }
        for set_name, members in sets.items():
            rises = _Rises(one, one[members], [head for head in heads if head != TASK], TASK in heads)
            if len(rises.artefacts) > 1:
                rows += [{**names, "set": set_name, **row} for row in _rows(rises, set_name, n_boot, seed)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def decoupling_index(leakage: np.ndarray) -> np.ndarray:
    """Return how much of the rise on each artefact is in its own head: 0 none, 1 perfect, below 0 if in the wrong one.

    DI = (mean_k max(L_kk, 0) / sum_j max(L_kj, 0) - 1 / K) / (1 - 1 / K). An artefact on which no head rises counts as
    spread evenly, 1 / K.

    Args:
        leakage: (..., K, K), mean rise of head j (last axis) on artefact k.
    """
    rise = np.maximum(leakage, 0)
    total = rise.sum(axis=-1)
    own = np.diagonal(rise, axis1=-2, axis2=-1)
    chance = 1 / leakage.shape[-1]
    share = np.divide(own, total, out=np.full(own.shape, chance), where=total > 0).mean(axis=-1)
    index = (share - chance) / (1 - chance)
    return np.where(np.isfinite(leakage).all(axis=(-2, -1)), index, np.nan)


def variance_of(head: str) -> str:
    """Return the column of a head's mean variance, ``variance_<head>:mean``.

    Args:
        head: ``task`` or an artefact.
    """
    return f"{PREFIX}{head}{SUFFIX}"


def heads_of(wide: pd.DataFrame) -> list[str]:
    """Return the heads, the task's included, of which a table has the mean variance.

    Args:
        wide: One row a scan.
    """
    columns = [name for name in wide if name.startswith(PREFIX) and name.endswith(SUFFIX)]
    return [name.removeprefix(PREFIX).removesuffix(SUFFIX) for name in columns]


class _Rises:
    """Log-variance rises of artefact scans over the same subjects' clean scans, and those clean scans' spread."""

    def __init__(self, wide: pd.DataFrame, scans: pd.DataFrame, heads: list[str], with_task: bool):
        self.artefacts = [head for head in heads if head in set(scans["artefact"])]
        # Square: artefacts without a head and heads without an artefact say nothing of the diagonal.
        self.heads = [*self.artefacts, *([TASK] if with_task else [])]
        columns = [variance_of(head) for head in self.heads]
        logs = wide[columns].where(wide[columns] > 0).apply(np.log)
        clean = wide["condition"].eq("clean") & logs.notna().all(axis=1)
        base = logs[clean].groupby(wide["subject"]).mean()  # of all clean scans of a subject
        scans = scans[scans["artefact"].isin(self.artefacts)]
        usable = scans["subject"].isin(base.index) & logs.loc[scans.index].notna().all(axis=1)
        self.n_left_out, scans = int((~usable).sum()), scans[usable]
        self.scans = scans
        self.artefact = scans["artefact"].to_numpy()
        self.rise = logs.loc[scans.index].to_numpy() - base.loc[scans["subject"]].to_numpy()
        self.clean = base.to_numpy()
        self.subject = np.r_[scans["subject"].to_numpy(), base.index.to_numpy()]  # of the scans, then of the clean ones

    def sd(self, weights: np.ndarray) -> np.ndarray:
        """Return (draws, heads) standard deviations of the clean scans' log variance; NaN for fewer than two scans."""
        if not len(self.clean):
            return np.full((len(weights), len(self.heads)), np.nan)
        weights = weights[:, len(self.rise) :]
        n = weights.sum(axis=1, keepdims=True)
        centred = self.clean - self.clean.mean(axis=0)
        spread = weights @ centred**2 - (weights @ centred) ** 2 / np.maximum(n, 1)
        variance = np.divide(spread, n - 1, out=np.zeros_like(spread), where=n > 1)
        return np.where(variance > 1e-12, np.sqrt(np.maximum(variance, 0)), np.nan)

    def unit(self, weights: np.ndarray) -> np.ndarray:
        """Return (draws, heads) standard deviations that stand for what the clean scans' one may truly be.

        That of drawn subjects, some of them twice, is too small: by sqrt((n - 1) / n) on average, which is put right, and its
        errors are skewed. Dividing by it made intervals of z miss on one side. What holds for a scale is that the true one is
        to the estimate as the estimate is to a drawn one: sd^2 / drawn sd, the basic bootstrap of log sd (Davison & Hinkley
        1997, sec. 5.2), which leaves z its sign.
        """
        n = len(self.clean)
        return self.sd(np.ones((1, weights.shape[1]))) ** 2 / (self.sd(weights) * np.sqrt(n / max(n - 1, 1)))

    def leakage(self, weights: np.ndarray, unit: np.ndarray) -> np.ndarray:
        """Return (draws, artefacts, heads) mean z, in a (draws, heads) unit."""
        means = []
        for name in self.artefacts:
            member = np.flatnonzero(self.artefact == name)
            n = weights[:, member].sum(axis=1, keepdims=True)
            total = weights[:, member] @ self.rise[member]
            means.append(np.divide(total, n, out=np.full_like(total, np.nan), where=n > 0))
        return np.stack(means, axis=1) / unit[:, None]

    def attribution(self, weights: np.ndarray, unit: np.ndarray) -> np.ndarray:
        """Return (draws, artefacts, artefacts) shares of an artefact's scans given to each artefact's head."""
        n_heads = len(self.artefacts)
        unit = unit[:, None, :n_heads]  # z is taken anew in each draw, as the leakage is
        shares = []
        for name in self.artefacts:
            member = np.flatnonzero(self.artefact == name)
            given = np.argmax(self.rise[None, member, :n_heads] / unit, axis=2)
            of_scan = weights[:, member]
            n = of_scan.sum(axis=1)
            share = [np.einsum("bs,bs->b", of_scan, given == head) for head in range(n_heads)]
            shares.append([np.divide(part, n, out=np.full_like(n, np.nan), where=n > 0) for part in share])
        found = np.moveaxis(np.array(shares), 2, 0)
        return np.where(np.isfinite(unit).all(axis=2, keepdims=True), found, np.nan)


def _rows(rises: _Rises, set_name: str, n_boot: int, seed: int) -> Iterator[dict]:
    """Yield the rows of one network and set."""
    once = np.ones((1, len(rises.subject)))
    notes = (
        [f"{rises.n_left_out} scans left out: no clean scan, or a variance missing or 0"] if rises.n_left_out else []
    )
    sd = rises.sd(once)
    if not np.isfinite(sd).all():
        notes.append("no value: clean scans of fewer than two subjects, or all alike")
    estimate = {key: value[0] for key, value in _statistics(rises, once, sd).items()}
    ends = {key: value[None] for key, value in estimate.items()}
    if rises.scans["subject"].nunique() > 1:
        weights = subject_draws(rises.subject, n_boot, rng_for(seed, "decoupling", set_name))
        draws = [_statistics(rises, drawn, rises.unit(drawn)) for drawn in weights]
        ends = {key: np.concatenate([draw[key] for draw in draws]) for key in estimate}
    for quantity, artefact, head, key, place in _cells(rises):
        of_it = rises.scans if artefact == "all" else rises.scans[rises.artefact == artefact]
        counts = tables.counted(of_it)  # subjects with this artefact: of the matched scans fewer than of the clean ones
        draws_of_it, bounds = ends[key][(slice(None), *place)], SHARE if quantity.startswith("attribution") else None
        found = float(estimate[key][place])
        low, high, note = stated_interval(draws_of_it, counts["n_subjects"], found, bounds)
        yield {
            "quantity": quantity,
            "artefact": artefact,
            "head": head,
            "value": found,
            "ci_low": low,
            "ci_high": high,
            **counts,
            "n_boot": n_boot,
            "note": "; ".join([*notes, note] if note else notes),
        }


def _statistics(rises: _Rises, weights: np.ndarray, unit: np.ndarray) -> dict[str, np.ndarray]:
    """Return every statistic in every draw."""
    leakage, attribution = rises.leakage(weights, unit), rises.attribution(weights, unit)
    square = leakage[:, :, : len(rises.artefacts)]
    return {
        "leakage": leakage,
        "attribution": attribution,
        "accuracy": np.diagonal(attribution, axis1=1, axis2=2).mean(axis=1),
        "index": decoupling_index(square),
    }


def _cells(rises: _Rises) -> Iterator[tuple[str, str, str, str, tuple[int, ...]]]:
    """Yield (quantity, artefact, head, statistic, place in it) of every row."""
    yield "decoupling_index", "all", "all", "index", ()
    yield "attribution_accuracy", "all", "all", "accuracy", ()
    for row, artefact in enumerate(rises.artefacts):
        for column, head in enumerate(rises.heads):
            yield ("task_drift" if head == TASK else "leakage"), artefact, head, "leakage", (row, column)
    for row, artefact in enumerate(rises.artefacts):
        for column, head in enumerate(rises.artefacts):
            yield "attribution", artefact, head, "attribution", (row, column)
