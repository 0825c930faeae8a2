"""Which subjects train, validate and test: by a hash of the subject, kept once it is given."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from decoupled_qc.cohort.manifest import ROLES
from decoupled_qc.delimited import read_cells
from decoupled_qc.errors import InputError
from decoupled_qc.seeds import seed_for


def admit(scans: pd.DataFrame, found: pd.DataFrame, *, strict: bool, min_subjects: int) -> pd.DataFrame:
    """Return the scans that an audit lets through.

    Args:
        scans: As :func:`decoupled_qc.cohort.sources.find_scans` returns them.
        found: As :func:`decoupled_qc.cohort.audit.audit` returns it.
        strict: Whether one bad scan stops the run.
        min_subjects: With fewer the run stops.

    Raises:
        InputError: See above; one image stands under two names; a subject has two roles or several scans.
    """
    excluded = found[found["status"] != "ok"]
    if strict and len(excluded):
        first = excluded.iloc[0]
        raise InputError(
            f"The audit excludes {len(excluded)} of {len(found)} scans, the first {first['scan']} ({first['reason']}); "
            "config key cohort.scans.strict stops the run: repair or drop them."
        )
    good = found[found["status"] == "ok"]
    for _, same in good.groupby("sha256", sort=False):
        if len(same) > 1:
            one, other = same["scan"].iloc[:2]
            raise InputError(f"Scans {one} and {other} hold the same image: drop one of them from the cohort.")
    kept = scans[scans["scan"].isin(good["scan"])]
    for subject, own in kept.groupby("subject"):
        roles = sorted(set(own["role"]) - {""})
        if len(roles) > 1:
            raise InputError(f"Subject {subject} has the roles {roles[0]} and {roles[1]}: give every subject one role.")
        if len(own) > 1:
            raise InputError(
                f"Subject {subject} has {len(own)} scans ({', '.join(own['scan'][:2])}, ...): choose one by config key "
                "cohort.scans.pattern."
            )
    if kept["subject"].nunique() < min_subjects:
        raise InputError(
            f"The audit leaves {kept['subject'].nunique()} of {scans['subject'].nunique()} subjects, and config key "
            f"cohort.scans.min_subjects asks for {min_subjects}: see the audit's table for the reasons."
        )
    return kept.reset_index(drop=True)


def split(scans: pd.DataFrame, shares: Mapping[str, float], earlier: Path | None, seed: int) -> pd.DataFrame:
    """Return one row per subject: ``subject``, ``role``.

    Roles that the source gives are kept, then those of an earlier table; the others are dealt out in the order of the
    subjects' hashes, each time to the role that is furthest below its share.

    Args:
        scans: Of :func:`admit`; ``role`` may be empty.
        shares: role → share of the subjects; the sum is 1.
        earlier: An earlier ``splits.tsv`` whose subjects keep their role; none if None.
        seed: The run's.

    Raises:
        InputError: A role is unknown, the shares do not add up, or a role is left without a subject.
    """
    if not np.isclose(sum(shares.values()), 1):
        raise InputError(
            f"Config key cohort.scans.roles adds up to {sum(shares.values()):g}: give shares that sum to 1."
        )
    given = dict(zip(scans["subject"], scans["role"], strict=True))
    if earlier is not None:
        if not Path(earlier).is_file():
            raise InputError(f"{earlier} does not exist: correct config key cohort.scans.splits.")
        table = read_cells(earlier, "\t")
        for column in ("subject", "role"):
            if column not in table:
                raise InputError(f"{earlier} has no column '{column}': give the splits.tsv of an earlier run.")
        frozen = dict(zip(table["subject"], table["role"], strict=True))
        for subject, role in given.items():
            if role and role != frozen.get(subject, role):
                raise InputError(
                    f"Subject {subject} has the role {role}, but {frozen[subject]} in {earlier}: give it one role."
                )
        given = {subject: role or frozen.get(subject, "") for subject, role in given.items()}
    for subject, role in given.items():
        if role and role not in ROLES:
            place = f" in its table or in {earlier}" if earlier else ""
            raise InputError(f"Subject {subject} has role '{role}'{place}; use one of {', '.join(ROLES)}.")
    counts = {role: list(given.values()).count(role) for role in ROLES}
    for subject in sorted((name for name in given if not given[name]), key=lambda name: seed_for(seed, name, "split")):
        role = max(ROLES, key=lambda role: shares[role] * len(given) - counts[role])
        given[subject] = role
        counts[role] += 1
    for role in ROLES:
        if not counts[role]:
            raise InputError(f"No subject is left for the role {role}: give it more of config key cohort.scans.roles.")
    return pd.DataFrame(sorted(given.items()), columns=["subject", "role"])
