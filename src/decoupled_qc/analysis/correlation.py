"""How well each score ranks scans by the quality of their segmentation."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import stats

from decoupled_qc.analysis import scores as tables
from decoupled_qc.analysis.resampling import (
    Ranks,
    WeightedSpearman,
    bca_interval,
    leave_one_out,
    percentile_interval,
    permutation_p,
    subject_draws,
)
from decoupled_qc.seeds import rng_for

COLUMNS = (
    "model", "replicate", "set", "target", "score", "aggregation", "rho", "tau_b", "ci_low", "ci_high", "bca_low",
    "bca_high", "p", "p_iid", "n_scans", "n_subjects", "n_anatomies", "n_boot", "note",
)  # fmt: skip
MIN_SCANS = 3
WITHIN = "simulated_within_artefact"
GIVEN = "simulated_given_artefact"


def correlate(
    scores: pd.DataFrame, subjects: pd.DataFrame, *, n_boot: int, n_permutations: int, seed: int
) -> pd.DataFrame:
    """Return Spearman's rho of Dice and of the rating with every score, on every set of scans.

    Sets: ``simulated`` (clean scans and one of each artefact; the primary one), ``simulated_artefact_only``,
    ``simulated_<artefact>`` (one artefact's alone), ``simulated_within_artefact`` (the mean of those, so that
    merely telling artefacts apart earns nothing), ``simulated_given_artefact`` (partial rho of scans with an artefact,
    of ranks less the mean rank of their artefact) and ``real``.

    Args:
        scores: As :func:`decoupled_qc.analysis.scores.read_scores` returns it.
        subjects: As :func:`decoupled_qc.analysis.scores.read_subjects` returns it.
        n_boot: Draws of the subject bootstrap behind ``ci_low`` and ``ci_high``, see
            :func:`decoupled_qc.analysis.resampling.percentile_interval`, and ``bca_low`` and ``bca_high``, which cover less
            where subjects are few; both 95 %.
        n_permutations: Permutations behind ``p``, see :func:`decoupled_qc.analysis.resampling.permutation_p`.
        seed: The run's.

    Returns:
        The columns ``COLUMNS``. ``tau_b`` is Kendall's, for targets with few levels; ``p_iid`` is the usual t
        approximation for rho, which takes scans for independent. Where a number does not exist it is NaN and ``note``
        says why.
    """
    rows = []
    for names, one in tables.each_model(scores, subjects):
        for set_name, scans, target in scan_sets(one):
            found = _correlations(scans, target, tables.score_columns(one), set_name, n_boot, n_permutations, seed)
            rows += [{**names, "set": set_name, **row} for row in found]
        if "dice:gm" in one and one["condition"].str.startswith("sim-").any():
            for score in tables.score_columns(one):
                rows.append({**names, "set": WITHIN, **_within_artefact(one, score, n_boot, seed)})
                rows.append({**names, "set": GIVEN, **_given_artefact(one, score, n_boot, seed)})
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
    rows, alike = {}, {}
    for score in scores:
        present = scans[[target, score]].notna().all(axis=1)
        complete = scans[present]
        notes = notes_on(scans, complete, [target, score])
        rows[score] = {**identity(target, score, complete, n_boot), "note": "; ".join(notes)}
        if not degenerate(notes):
            alike.setdefault(present.to_numpy().tobytes(), []).append(score)
    for group in alike.values():
        complete = scans.dropna(subset=[target, *group])
        subject, y = complete["subject"].to_numpy(), complete[target].to_numpy()
        ranks = Ranks(y)
        statistics = {score: WeightedSpearman(complete[score].to_numpy(), ranks) for score in group}
        rng = rng_for(seed, "permutation", set_name, target)
        p = permutation_p(complete[group].to_numpy(), y, subject, n_permutations, rng)
        rho = _rhos(statistics, np.ones((1, len(y))))[:, 0]
        draws, n_subjects = None, complete["subject"].nunique()
        if n_subjects > 1:
            rng = rng_for(seed, "bootstrap", set_name, target)
            draws, jackknife = (
                np.concatenate([_rhos(statistics, weights) for weights in chunks], axis=1)
                for chunks in (subject_draws(subject, n_boot, rng), leave_one_out(subject))
            )
        for index, score in enumerate(group):
            x, row = complete[score].to_numpy(), rows[score]
            row.update(rho=float(rho[index]), tau_b=float(stats.kendalltau(x, y).statistic), p=float(p[index]))
            row["p_iid"] = float(stats.spearmanr(x, y).pvalue)
            if draws is not None:
                row["ci_low"], row["ci_high"] = percentile_interval(draws[index], n_subjects)
                row["bca_low"], row["bca_high"] = bca_interval(draws[index], row["rho"], jackknife[index])
    return [rows[score] for score in scores]


def _rhos(statistics: dict[str, WeightedSpearman], weights: np.ndarray) -> np.ndarray:
    """Return (scores, draws)."""
    return np.stack([statistic(weights) for statistic in statistics.values()])


def _within_artefact(wide: pd.DataFrame, score: str, n_boot: int, seed: int) -> dict:
    """Return the mean over artefacts of rho within one artefact's scans, with a subject-bootstrap interval."""
    with_artefact = wide[wide["condition"].str.startswith("sim-")]
    complete = with_artefact.dropna(subset=["dice:gm", score])
    row = identity("dice:gm", score, complete, n_boot)
    notes = notes_on(with_artefact, complete, ["dice:gm", score])
    subject, artefact = complete["subject"].to_numpy(), complete["artefact"].to_numpy()
    groups = []
    for name in np.unique(artefact):
        member = artefact == name
        x, y = complete.loc[member, score].to_numpy(), complete.loc[member, "dice:gm"].to_numpy()
        if len(x) >= MIN_SCANS and np.ptp(x) > 0 and np.ptp(y) > 0:
            groups.append((member, WeightedSpearman(x, y)))
        else:
            notes.append(f"left out {name}: too few scans or all equal")

    def mean_rho(weights: np.ndarray) -> np.ndarray:
        return np.mean([statistic(weights[:, member]) for member, statistic in groups], axis=0)

    if groups:
        row["rho"] = float(mean_rho(np.ones((1, len(complete))))[0])
        notes.append("mean over artefacts; no p is computed for it")
        if row["n_subjects"] > 1:
            rng = rng_for(seed, "bootstrap", WITHIN, score)
            draws = np.concatenate([mean_rho(weights) for weights in subject_draws(subject, n_boot, rng)])
            row["ci_low"], row["ci_high"] = percentile_interval(draws, row["n_subjects"])
    return {**row, "note": "; ".join(notes)}


def _given_artefact(wide: pd.DataFrame, score: str, n_boot: int, seed: int) -> dict:
    """Return the partial rho given the artefact, with a subject-bootstrap interval."""
    with_artefact = wide[wide["condition"].str.startswith("sim-")]
    complete = with_artefact.dropna(subset=["dice:gm", score])
    row = identity("dice:gm", score, complete, n_boot)
    notes = notes_on(with_artefact, complete, ["dice:gm", score])
    if not degenerate(notes):
        columns = (complete[name].to_numpy() for name in (score, "dice:gm", "artefact"))
        statistic = WeightedSpearman(*columns)
        row["rho"] = float(statistic(np.ones((1, len(complete))))[0])
        notes.append(
            "partial rho; no p is computed for it" if np.isfinite(row["rho"]) else f"{NO_RHO}equal in each artefact"
        )
        if row["n_subjects"] > 1:
            rng = rng_for(seed, "bootstrap", GIVEN, score)
            chunks = subject_draws(complete["subject"].to_numpy(), n_boot, rng)
            draws = np.concatenate([statistic(weights) for weights in chunks])
            row["ci_low"], row["ci_high"] = percentile_interval(draws, row["n_subjects"])
    return {**row, "note": "; ".join(notes)}


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
        **dict.fromkeys(("rho", "tau_b", "ci_low", "ci_high", "bca_low", "bca_high", "p", "p_iid"), np.nan),
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
    notes = []
    if len(complete) < len(scans):
        notes.append(f"{len(scans) - len(complete)} of {len(scans)} scans left out: a value is missing")
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
