"""How well each score ranks scans by the quality of their segmentation."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from decoupled_qc.analysis import scores as tables
from decoupled_qc.analysis.resampling import (
    Ranks,
    WeightedSpearman,
    WeightedTau,
    bca_interval,
    leave_one_out,
    permutation_p,
    spearman,
    stated_interval,
    subject_draws,
)
from decoupled_qc.seeds import rng_for

COLUMNS = (
    "model", "replicate", "set", "target", "score", "aggregation", "rho", "ci_low", "ci_high", "bca_low", "bca_high",
    "tau_b", "tau_low", "tau_high", "p", "p_iid", "n_scans", "n_subjects", "n_anatomies", "n_boot", "note",
)  # fmt: skip
NUMBERS = COLUMNS[COLUMNS.index("rho") : COLUMNS.index("n_scans")]
MIN_SCANS = 3
MOST_LEVELS = 10  # of a target whose tau-b has an interval
SIMPSON = 0.2  # by which a pooled |rho| must exceed the one within artefacts to be called one of artefacts
TELLS_KINDS_APART = "the score mainly tells"
WITHIN, POOLED, GIVEN = "within", "pooled_within", "given"


def correlate(
    scores: pd.DataFrame, subjects: pd.DataFrame, *, n_boot: int, n_permutations: int, seed: int
) -> pd.DataFrame:
    """Return Spearman's rho of Dice and of the rating with every score, on every set of scans.

    Sets: ``simulated`` (clean scans and one of each artefact, 168 in the paper; the primary one),
    ``simulated_artefact_only`` (140 in the paper), ``simulated_<artefact>`` (one artefact's alone),
    ``simulated_within_artefact`` (the mean of those, so that merely telling artefacts apart earns nothing; ``note``
    says if |rho| of all scans with an artefact is larger by more than 0.2), ``simulated_pooled_within_artefact`` (the same,
    pooled by Fisher's z), ``simulated_given_artefact`` (partial rho of scans with an artefact, of ranks less the mean rank of
    their artefact), ``simulated_given_subject`` (the repeated-measures correlation of ranks, so that merely telling people
    apart earns nothing), ``real``, and, to hold the others against, ``validation``, where ``validation_within_anatomy`` is the
    mean over heads: what the networks and the recipe know is no evidence for them.

    Args:
        scores: As :func:`decoupled_qc.analysis.scores.read_scores` returns it.
        subjects: As :func:`decoupled_qc.analysis.scores.read_subjects` returns it.
        n_boot: Draws of the subject bootstrap behind ``ci_low`` and ``ci_high``, see
            :func:`decoupled_qc.analysis.resampling.percentile_interval`, and ``bca_low`` and ``bca_high``, which cover
            less where subjects are few; both 95 %.
        n_permutations: Permutations behind ``p``, see :func:`decoupled_qc.analysis.resampling.permutation_p`.
        seed: The run's.

    Returns:
        The columns ``COLUMNS``. ``tau_b`` is Kendall's; it has an interval where the target has at most 10 levels, as a
        rating has. ``p_iid`` is the usual t approximation for rho, which takes scans for independent. Where a number
        does not exist it is NaN and ``note`` says why.
    """
    rows = []
    for names, one in tables.each_model(scores, subjects):
        for set_name, scans, target in scan_sets(one):
            found = _correlations(scans, target, tables.score_columns(one), set_name, n_boot, n_permutations, seed)
            rows += [{**names, "set": set_name, **row} for row in found]
        if "dice:gm" in one and one["condition"].str.startswith("sim-").any():
            with_artefact = one[one["condition"].str.startswith("sim-")]
            scores_of_one = tables.score_columns(one)
            found = beside_kind(with_artefact, "dice:gm", scores_of_one, kind="artefact", n_boot=n_boot, seed=seed)
            rows += [{**names, **row, "set": f"simulated_{row['set']}_artefact"} for row in found]
            found = beside_kind(
                one[tables.simulated(one)],
                "dice:gm",
                scores_of_one,
                kind="subject",
                which=(GIVEN,),
                n_boot=n_boot,
                seed=seed,
            )
            rows += [{**names, **row, "set": f"simulated_{row['set']}_subject"} for row in found]
        validation = one[one["condition"] == "validation"]
        if "dice:gm" in one and len(validation):
            dice, scores_of_one = "dice:gm", tables.score_columns(one)
            found = _correlations(validation, dice, scores_of_one, "validation", n_boot, n_permutations, seed)
            rows += [{**names, "set": "validation", **row} for row in found]
            within = {"kind": "anatomy", "which": (WITHIN,), "n_boot": n_boot, "seed": seed}
            found = beside_kind(validation, dice, scores_of_one, **within)
            rows += [{**names, **row, "set": f"validation_{row['set']}_anatomy"} for row in found]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def one_set(
    scans: pd.DataFrame, target: str, scores: list[str], *, n_boot: int, n_permutations: int, seed: int
) -> pd.DataFrame:
    """Return the correlation of one target with each of some scores over one set of scans.

    Args:
        scans: A row a scan: ``subject``, ``anatomy``, the target and the scores as ``<name>:<aggregation>``.
        target, scores: Columns.
        n_boot, n_permutations, seed: As for :func:`correlate`.

    Returns:
        The columns ``COLUMNS`` from ``target`` on.
    """
    rows = _correlations(scans, target, scores, "own", n_boot, n_permutations, seed)
    return pd.DataFrame(rows, columns=list(COLUMNS[COLUMNS.index("target") :]))


def scan_sets(wide: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, str]]:
    """Yield (name, scans, target column) of every set that the table of one network holds.

    Args:
        wide: One row a scan.
    """
    simulated = tables.simulated(wide)
    with_artefact = simulated & wide["condition"].ne("clean")
    sets = [("simulated", simulated), ("simulated_artefact_only", with_artefact)]
    for artefact in sorted(wide.loc[with_artefact, "artefact"].unique()):
        sets.append((f"simulated_{artefact}", with_artefact & wide["artefact"].eq(artefact)))
    for name, members in sets:
        if members.any() and "dice:gm" in wide:
            yield name, wide[members], "dice:gm"
    real = wide[wide["condition"] == "real"]
    for target in ("dice:gm", *(name for name in wide if name.startswith("rating:"))):
        if len(real) and target in wide and real[target].notna().any():
            yield "real", real, target


def _correlations(
    scans: pd.DataFrame, target: str, scores: list[str], set_name: str, n_boot: int, n_permutations: int, seed: int
) -> list[dict]:
    """Return a row of :func:`correlate` per score; scores known on the same scans share draws and permutations."""
    rows = {}
    for complete, group in tables.known_together(scans, [target], scores):
        notes = {score: notes_on(scans, complete, [target, score]) for score in group}
        rows |= {
            score: {**identity(target, score, complete, n_boot), "note": "; ".join(notes[score])} for score in group
        }
        group = [score for score in group if not degenerate(notes[score])]
        if not group:
            continue
        subject, y = complete["subject"].to_numpy(), complete[target].to_numpy()
        ranks, n_subjects = Ranks(y), complete["subject"].nunique()
        statistics = [WeightedSpearman(complete[score].to_numpy(), ranks) for score in group]
        if complete[target].nunique() <= MOST_LEVELS:
            statistics += [WeightedTau(complete[score].to_numpy(), y) for score in group]
        rng = rng_for(seed, "permutation", set_name, target)
        p = permutation_p(complete[group].to_numpy(), y, subject, n_permutations, rng)
        found = over_draws(statistics, [np.ones((1, len(y)))])[:, 0]
        if n_subjects > 1:
            rng = rng_for(seed, "bootstrap", set_name, target)
            draws = over_draws(statistics, subject_draws(subject, n_boot, rng))
            jackknife = over_draws(statistics[: len(group)], leave_one_out(subject))
        for index, score in enumerate(group):
            x, row = complete[score].to_numpy(), rows[score]
            row.update(rho=float(found[index]), tau_b=float(stats.kendalltau(x, y).statistic), p=float(p[index]))
            row["p_iid"] = float(stats.spearmanr(x, y).pvalue)
            if n_subjects > 1:
                row["ci_low"], row["ci_high"], why = stated_interval(draws[index], n_subjects)
                row["note"] = joined(row["note"], why)
                row["bca_low"], row["bca_high"] = bca_interval(draws[index], row["rho"], jackknife[index])
                if len(draws) > len(group):
                    row["tau_low"], row["tau_high"], _ = stated_interval(draws[len(group) + index], n_subjects)
                else:
                    row["note"] = joined(row["note"], f"no interval of tau: more than {MOST_LEVELS} values")
    return [rows[score] for score in scores]


def joined(*notes: str) -> str:
    """Return notes as one, those that say nothing left out."""
    return "; ".join(note for note in notes if note)


def over_draws(statistics: Sequence[Callable[[np.ndarray], np.ndarray]], chunks: Iterable[np.ndarray]) -> np.ndarray:
    """Return (statistics, draws): each statistic in each draw.

    Args:
        statistics: Functions of weights (draws, n).
        chunks: Weights, a part of all draws at a time.
    """
    return np.concatenate([np.stack([statistic(weights) for statistic in statistics]) for weights in chunks], axis=1)


def beside_kind(
    scans: pd.DataFrame,
    target: str,
    scores: list[str],
    *,
    kind: str,
    which: Sequence[str] = (WITHIN, POOLED, GIVEN),
    n_boot: int,
    seed: int,
) -> Iterator[dict]:
    """Yield rho of each score within kinds of scans and given the kind, with intervals.

    ``within``: the mean over kinds. ``pooled_within``: tanh(sum (n - 3) atanh(rho) / sum (n - 3)), n the scans of a kind; |rho|
    is at most that of one swapped pair of neighbours, 1 - 12 / (n (n^2 - 1)), so that a perfect one does not decide alone.
    ``given``: partial rho, of ranks less the mean rank of their kind; with subjects for kinds it is the repeated-measures
    correlation of ranks.

    Args:
        scans: A row a scan: ``subject``, ``anatomy``, the target, the kind and the scores as ``<name>:<aggregation>``.
        target, scores: Columns.
        kind: Column with the kind of each scan, such as its artefact or its site.
        which: Of the three; within subjects, of whom a draw leaves some out, only ``given`` exists.
        n_boot, seed: As for :func:`correlate`.

    Yields:
        Rows of :func:`one_set`, with one of the three as ``set``.

    Source: Fisher 1921, Metron 1:3; Bakdash & Marusich 2017, Front. Psychol. 8:456.
    """
    found = {}
    for complete, group in tables.known_together(scans, [target], scores):
        rows = {score: identity(target, score, complete, n_boot) for score in group}
        notes = {score: notes_on(scans, complete, [target, score]) for score in group}
        known = [score for score in group if not degenerate(notes[score])]
        found |= {(score, name): {**rows[score], "note": joined(*notes[score])} for score in group for name in which}
        if not known:
            continue
        subject, n_subjects = complete["subject"].to_numpy(), complete["subject"].nunique()
        statistic = _BesideKind(complete, known, target, kind, which)
        values, draws = statistic(np.ones((1, len(complete))))[..., 0], None
        if n_subjects > 1:
            chunks = subject_draws(subject, n_boot, rng_for(seed, "bootstrap", f"by {kind}"))
            draws = np.concatenate([statistic(weights) for weights in chunks], axis=2)
        for place, score in enumerate(known):
            for index, name in enumerate(which):
                row, rho = found[score, name], float(values[place, index])
                low, high, why = np.nan, np.nan, ""
                if draws is not None:
                    low, high, why = stated_interval(draws[place, index], n_subjects)
                own = joined(*notes[score], *statistic.notes(place, name, rho), why)
                row.update(rho=rho, ci_low=low, ci_high=high, note=own)
    for score in scores:
        for name in which:
            row = found[score, name]
            yield {**row, "set": name, "note": joined(row["note"], "rho only: no BCa interval, tau or p")}


class _BesideKind:
    """Rho of the target and each of some scores within kinds of scans and given the kind, see :func:`beside_kind`."""

    def __init__(self, scans: pd.DataFrame, scores: list[str], target: str, kind: str, which: Sequence[str]):
        y, kinds = scans[target].to_numpy(), scans[kind].to_numpy()
        values = [scans[score].to_numpy() for score in scores]
        self._kind, self._which = kind, which
        self._overall = [spearman(x, y) for x in values]
        given = Ranks(y, given=kinds)
        self._partial = [WeightedSpearman(Ranks(x, given=kinds), given) for x in values] if GIVEN in which else []
        self._members, self._left_out = [], [[] for _ in scores]
        for name in np.unique(kinds) if {WITHIN, POOLED} & set(which) else ():
            member = np.flatnonzero(kinds == name)
            own, fits = Ranks(y[member]), len(member) >= MIN_SCANS and np.ptp(y[member]) > 0
            statistics = [WeightedSpearman(x[member], own) if fits and np.ptp(x[member]) > 0 else None for x in values]
            self._members.append((member, statistics))
            for left_out, statistic in zip(self._left_out, statistics, strict=True):
                left_out += [] if statistic else [name]

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """Return (scores, statistics, draws)."""
        found = np.full((len(self._overall), len(self._which), len(weights)), np.nan)
        of_kind = [(weights.T[member].T, statistics) for member, statistics in self._members]
        for place in range(len(self._overall)):
            rhos = [statistics[place](own) for own, statistics in of_kind if statistics[place]]
            for index, name in enumerate(self._which):
                if name == GIVEN:
                    found[place, index] = self._partial[place](weights)
                elif rhos and name == WITHIN:
                    found[place, index] = np.mean(rhos, axis=0)
                elif rhos:
                    found[place, index] = _pooled(np.array(rhos), np.array(self._sizes(place)))
        return found

    def _sizes(self, place: int) -> list[int]:
        return [len(member) for member, statistics in self._members if statistics[place]]

    def notes(self, place: int, set_name: str, rho: float) -> list[str]:
        """Return what must be said of a score's rho."""
        if set_name == GIVEN:
            known = "partial rho; no p is computed for it"
            return [known if np.isfinite(rho) else f"{NO_RHO}equal in each {self._kind}, or one scan in each"]
        found = [f"left out {name}: too few scans or all equal" for name in self._left_out[place]]
        how = "mean" if set_name == WITHIN else "pooled by Fisher's z"
        known = f"{how} over {self._kind}s; no p is computed for it"
        none = f"no {self._kind} left" if set_name == WITHIN else f"no {self._kind} of four scans or more left"
        found.append(known if np.isfinite(rho) else f"{NO_RHO}{none}")
        overall = abs(self._overall[place])
        if overall - abs(rho) > SIMPSON:
            pooled = f"|rho| is {overall:.2f} over all {self._kind}s together and {abs(rho):.2f} within them"
            found.append(f"{pooled}: {TELLS_KINDS_APART} {self._kind}s apart")
        return found


def _pooled(rhos: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return rho pooled over kinds by Fisher's z, (draws,), from (kinds, draws) with n (kinds,) scans; NaN if none has 4."""
    weight = np.maximum(n - 3, 0)[:, None]
    most = (1 - 12 / (n * (n**2 - 1.0)))[:, None]
    z = np.arctanh(np.clip(rhos, -most, most))
    return np.tanh((weight * z).sum(axis=0) / weight.sum()) if weight.any() else np.full(rhos.shape[1], np.nan)


def identity(target: str, score: str, complete: pd.DataFrame, n_boot: int) -> dict:
    """Return a row without its statistics: what is compared, on how many.

    Args:
        target, score: Columns.
        complete: The scans that have both.
        n_boot: Draws of the bootstrap.
    """
    name, aggregation = score.split(":", 1)
    return {
        "target": target.split(":")[0],
        "score": name,
        "aggregation": aggregation,
        **dict.fromkeys(NUMBERS, np.nan),
        **tables.counted(complete),
        "n_boot": n_boot,
    }


NO_RHO = "no rho: "


def notes_on(scans: pd.DataFrame, complete: pd.DataFrame, columns: list[str]) -> list[str]:
    """Return what a reader must know of a cell: missing values, and why a number does not exist.

    Args:
        scans: All of the set.
        complete: Those without a missing value.
        columns: That are compared.
    """
    notes = tables.left_out(len(complete), len(scans))
    if len(complete) < MIN_SCANS:
        notes.append(f"{NO_RHO}fewer than {MIN_SCANS} scans")
    else:
        notes += [f"{NO_RHO}{name} is the same in all scans" for name in columns if complete[name].nunique() == 1]
    if complete["subject"].nunique() == 1:
        notes.append("no interval: one subject")
    return notes


def degenerate(notes: list[str]) -> bool:
    """Say whether notes of :func:`notes_on` rule a rho out."""
    return any(note.startswith(NO_RHO) for note in notes)
