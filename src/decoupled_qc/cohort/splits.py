"""Which subjects train, validate and test, and whose rated scans are the real set: by a hash of the subject, kept once given."""

import fnmatch
import logging
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from decoupled_qc.cohort.manifest import REAL, ROLES
from decoupled_qc.delimited import read_cells
from decoupled_qc.errors import InputError
from decoupled_qc.seeds import seed_for

log = logging.getLogger(__name__)

ALL_ROLES = (*ROLES, REAL)


def admit(
    scans: pd.DataFrame,
    found: pd.DataFrame,
    *,
    pattern: str | Sequence[str],
    good: Sequence[float] | None,
    real: str | None,
    strict: bool,
    min_subjects: int,
) -> pd.DataFrame:
    """Return the scans that an audit lets through and that are good for something.

    Args:
        scans: As :func:`decoupled_qc.cohort.sources.find_scans` returns them.
        found: As :func:`decoupled_qc.cohort.audit.write_audit` returns it.
        pattern: Names of the scans that train, validate and test; one scan of each subject. Of several patterns the first
            that a usable scan of the subject fits counts for that subject.
        good: Ratings with which such a scan counts as without artefact; any, and none, if None.
        real: Names of the scans of the real set, all that have a rating; None without a real set.
        strict: Whether one bad scan stops the run.
        min_subjects: With fewer the run stops.

    Returns:
        The scans with three more columns: ``is_clean``, may train, validate or test; ``is_rated``, may be in the real set;
        ``source_sha256`` of the audit, so that a changed scan changes the table that names it.

    Raises:
        InputError: See above; a rating is no number; one image stands under two names; a subject has two roles or several
            clean scans; or no scan is rated though there is a real set.
    """
    excluded = found[found["status"] != "ok"]
    if strict and len(excluded):
        first = excluded.iloc[0]
        raise InputError(
            f"The audit excludes {len(excluded)} of {len(found)} scans, the first {first['scan']} ({first['reason']}); "
            "config key cohort.scans.strict stops the run: repair or drop them."
        )
    admitted = found[found["status"] == "ok"]
    for _, same in admitted.groupby("sha256", sort=False):
        if len(same) > 1:
            one, other = same["scan"].iloc[:2]
            raise InputError(f"Scans {one} and {other} hold the same image: drop one of them from the cohort.")
    kept = scans.merge(admitted[["scan", "source_sha256"]], on="scan")
    ratings = _ratings(kept)
    choice = _choices(kept["scan"], [pattern] if isinstance(pattern, str) else pattern)
    usable = choice if good is None else choice.where(ratings.isin(good))
    wanted = kept["scan"].map(lambda name: real is not None and fnmatch.fnmatchcase(name, real))
    rated = wanted & ratings.notna()
    if real is not None and not rated.any():
        raise InputError(
            f"No scan named like '{real}' has a rating: correct config key cohort.scans.real, or add ratings."
        )
    named = kept.loc[wanted | choice.notna(), "subject"]
    kept = kept.assign(is_clean=usable == usable.groupby(kept["subject"]).transform("min"), is_rated=rated)
    counts = [subjects.nunique() for subjects in (scans["subject"], kept["subject"], named)]
    kept = kept[kept["is_clean"] | kept["is_rated"]]
    _check_subjects(kept)
    counts.append(kept["subject"].nunique())
    lost = "the audit leaves out %d (its table has the reasons), cohort.scans.pattern %d, and ratings %d (cohort.scans.good)"
    lost %= tuple(before - after for before, after in pairwise(counts))
    log.info("%d of %d listed subjects can be used: %s", counts[-1], counts[0], lost)
    if counts[-1] < min_subjects:
        raise InputError(
            f"{counts[-1]} of {counts[0]} subjects are left, and config key cohort.scans.min_subjects asks for {min_subjects}: "
            f"{lost}."
        )
    return kept.reset_index(drop=True)


def split(scans: pd.DataFrame, shares: Mapping[str, float], earlier: Path | None, seed: int) -> pd.DataFrame:
    """Return one row per subject: ``subject``, ``role``.

    Roles that the source gives are kept, then those of an earlier table; a subject without a clean scan is real, one
    without a rated scan is not; the others are dealt out in the order of the subjects' hashes, each time to the role that is
    furthest below its share.

    Args:
        scans: Of :func:`admit`; ``role`` may be empty.
        shares: role → share of the subjects; the sum is 1.
        earlier: An earlier ``splits.tsv`` whose subjects keep their role; none if None.
        seed: The run's.

    Raises:
        InputError: A role is unknown, a subject has no scan for its role, the earlier table has a subject twice, the shares do
            not add up, or a role is left without a subject.
    """
    if not np.isclose(sum(shares.values()), 1):
        raise InputError(
            f"Config key cohort.scans.roles adds up to {sum(shares.values()):g}: give shares that sum to 1."
        )
    subjects = scans.groupby("subject")
    given = subjects["role"].max().to_dict()
    if earlier is not None:
        given = _frozen(given, earlier)
    possible = {
        subject: [*(ROLES if clean else ()), *([REAL] if rated else [])]
        for subject, clean, rated in subjects[["is_clean", "is_rated"]].any().itertuples()
    }
    for subject, role in given.items():
        if role and role not in ALL_ROLES:
            place = f" in its table or in {earlier}" if earlier else ""
            raise InputError(f"Subject {subject} has role '{role}'{place}; use one of {', '.join(ALL_ROLES)}.")
        if role and role not in possible[subject]:
            raise InputError(
                f"Subject {subject} has role {role} but no scan for it: see config keys cohort.scans.pattern, good and real."
            )
    given = {subject: role or (REAL if possible[subject] == [REAL] else "") for subject, role in given.items()}
    counts = {role: list(given.values()).count(role) for role in ALL_ROLES}
    for subject in sorted((name for name in given if not given[name]), key=lambda name: seed_for(seed, name, "split")):
        role = max(possible[subject], key=lambda role: shares.get(role, 0) * len(given) - counts[role])
        given[subject] = role
        counts[role] += 1
    for role in [*ROLES, *([REAL] if scans["is_rated"].any() else [])]:
        if not counts[role]:
            raise InputError(f"No subject is left for the role {role}: give it more of config key cohort.scans.roles.")
    return pd.DataFrame(sorted(given.items()), columns=["subject", "role"])


def chosen(scans: pd.DataFrame, splits: pd.DataFrame) -> pd.DataFrame:
    """Return the scans that a run uses: the clean one of each subject, or all the rated ones of a real subject.

    Args:
        scans: Of :func:`admit`.
        splits: Of :func:`split`.
    """
    merged = scans.drop(columns="role").merge(splits, on="subject")
    wanted = merged["is_rated"].where(merged["role"] == REAL, merged["is_clean"])
    return merged[wanted].drop(columns=["is_clean", "is_rated"]).reset_index(drop=True)


def _choices(names: pd.Series, patterns: Sequence[str]) -> pd.Series:
    """Return the place of the first pattern that each name fits, NaN where it fits none."""

    def first(name: str) -> float:
        return next((place for place, one in enumerate(patterns) if fnmatch.fnmatchcase(name, one)), np.nan)

    return names.map(first).astype(float)


def _ratings(scans: pd.DataFrame) -> pd.Series:
    """Return ratings as numbers, NaN where there is none."""
    numbers = pd.to_numeric(scans["rating"].replace("", None), errors="coerce")
    for row in scans[numbers.isna() & (scans["rating"] != "")].itertuples():
        raise InputError(
            f"Scan {row.scan} has the rating '{row.rating}', which is no number: correct it, or empty the cell."
        )
    return numbers


def _check_subjects(scans: pd.DataFrame) -> None:
    for subject, own in scans.groupby("subject"):
        roles = sorted(set(own["role"]) - {""})
        if len(roles) > 1:
            raise InputError(f"Subject {subject} has the roles {roles[0]} and {roles[1]}: give every subject one role.")
        clean = own[own["is_clean"]]
        if len(clean) > 1 and roles != [REAL]:
            raise InputError(
                f"Subject {subject} has {len(clean)} scans ({', '.join(clean['scan'][:2])}, ...): choose one by config key "
                "cohort.scans.pattern, a pattern or a list of them of which the first that a subject has counts."
            )


def _frozen(given: Mapping[str, str], earlier: Path) -> dict[str, str]:
    """Return the roles with those of an earlier table filled in."""
    if not Path(earlier).is_file():
        raise InputError(f"{earlier} does not exist: correct config key cohort.scans.splits.")
    table = read_cells(earlier, "\t")
    for column in ("subject", "role"):
        if column not in table:
            raise InputError(f"{earlier} has no column '{column}': give the splits.tsv of an earlier run.")
    for row in table.index[table["subject"].duplicated()]:
        raise InputError(f"{earlier}, row {row + 2}: subject {table['subject'][row]} has a row above, too: keep one.")
    frozen = dict(zip(table["subject"], table["role"], strict=True))
    for subject, role in given.items():
        if role and role != frozen.get(subject, role):
            raise InputError(
                f"Subject {subject} has the role {role}, but {frozen[subject]} in {earlier}: give it one role."
            )
    return {subject: role or frozen.get(subject, "") for subject, role in given.items()}
