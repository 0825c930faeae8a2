"""Where real scans come from: a module per kind of source, found by its name.

A source module has ``find(path) -> DataFrame``: one row per scan with some of the columns of :data:`COLUMNS`, all text.
File names begin with the path, or are absolute: a project that is moved with its scans, named relative to it, finds them again.
What it does not tell becomes an empty text.
"""

import fnmatch
import hashlib
import importlib
import logging
import pkgutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from decoupled_qc.errors import InputError
from decoupled_qc.files import size_and_time

log = logging.getLogger(__name__)

# dseg_values: what the values of dseg mean, see :func:`decoupled_qc.cohort.label_values.as_tissues`.
COLUMNS = ["subject", "scan", "image", "dseg", "dseg_values", "role", "rating", "rater", "site", "label_source"]

MISSING = "n/a"  # an empty cell, as BIDS has it


def names() -> list[str]:
    """Return the names of all kinds of source."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def find_scans(kind: str, path: str | None, patterns: Sequence[str], limit: int | None) -> pd.DataFrame:
    """List the scans of a source, sorted by name.

    Args:
        kind: Of :func:`names`.
        path: What the source reads: a folder or a table.
        patterns: Shell patterns of scan names (file names without ``.nii.gz``) to take.
        limit: Only the first so many subjects; all if None.

    Raises:
        InputError: The kind is unknown, the path is not given or missing, no scan is left, or two scans have one name.
    """
    check(kind, path)
    found = importlib.import_module(f"{__name__}.{kind}").find(Path(path))
    scans = (
        pd.DataFrame(found, columns=COLUMNS)
        .astype(object)
        .fillna("")
        .replace(MISSING, "")
        .sort_values("scan", ignore_index=True)
    )
    n_subjects = scans["subject"].nunique()
    scans = scans[[any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns) for name in scans["scan"]]]
    wanted = " or ".join(f"'{pattern}'" for pattern in patterns)
    if scans.empty:
        raise InputError(f"{path} holds no scan named like {wanted}: check it and config key cohort.scans.pattern.")
    counts = scans["subject"].nunique(), n_subjects
    log.info("%d of %d subjects have a scan named like %s (cohort.scans.pattern, real)", *counts, wanted)
    for name in scans["scan"][scans["scan"].duplicated()]:
        raise InputError(f"{path} lists scan {name} more than once: give every scan a name of its own.")
    return scans[scans["subject"].isin(scans["subject"].unique()[:limit])].reset_index(drop=True)


def state_of(scans: pd.DataFrame) -> str:
    """Return a hash of a listing and of its files' sizes and times, so that a new, a lost or a changed scan is noticed.

    Args:
        scans: Of :func:`find_scans`.
    """
    digest = hashlib.sha256(scans.to_csv(index=False).encode())
    for name in [*scans["image"], *scans["dseg"]]:  # no label, or a file that the audit will miss
        digest.update(f"{size_and_time(name)}\n".encode())
    return digest.hexdigest()[:16]


def check(kind: str, path: str | None) -> None:
    """Check what needs no look into the source.

    Raises:
        InputError: The kind is unknown, the path is not given, or there is nothing.
    """
    if kind not in names():
        raise InputError(f"Config key cohort.source is '{kind}': use heads or one of {', '.join(names())}.")
    if path is None:
        raise InputError(f"Config key cohort.scans.path is not set: give the path that the source '{kind}' reads.")
    if not Path(path).exists():
        raise InputError(f"{path} does not exist: correct config key cohort.scans.path.")
