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
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from decoupled_qc.delimited import read_cells
from decoupled_qc.errors import InputError
from decoupled_qc.files import size_and_time

log = logging.getLogger(__name__)

# dseg_values: what the values of dseg mean, see :func:`decoupled_qc.cohort.label_values.as_tissues`.
COLUMNS = ["subject", "scan", "image", "dseg", "dseg_values", "role", "rating", "rater", "site", "label_source"]

NAME = re.compile(r"[^./\\\x00-\x1f][^/\\\x00-\x1f]*")  # of a subject or scan, which becomes part of a file's name
MISSING = "n/a"  # an empty cell, as BIDS has it


def names() -> list[str]:
    """Return the names of all kinds of source."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def find_scans(
    kind: str, path: str | None, patterns: Sequence[str], limit: int | None, fetched: Path | None = None
) -> pd.DataFrame:
    """List the scans of a source, sorted by name.

    Args:
        kind: Of :func:`names`.
        path: What the source reads: a folder or a table.
        patterns: Shell patterns of scan names (file names without ``.nii.gz``) to take.
        limit: Only the first so many subjects; all if None.
        fetched: Table of the files that were fetched into the folder ``path``, to which the scans are held; None for scans
            that were here already.

    Raises:
        InputError: The kind is unknown, the path is not given or missing, no scan is left, or a scan or subject has a name
            that cannot be part of a file's, or that of another.
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
    if fetched is not None:
        scans = _only_fetched(scans, Path(path), fetched)
    n_subjects = scans["subject"].nunique()
    scans = scans[[any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns) for name in scans["scan"]]]
    wanted = " or ".join(f"'{pattern}'" for pattern in patterns)
    if scans.empty:
        raise InputError(f"{path} holds no scan named like {wanted}: check it and config key cohort.scans.pattern.")
    counts = scans["subject"].nunique(), n_subjects
    log.info("%d of %d subjects have a scan named like %s (cohort.scans.pattern, real)", *counts, wanted)
    _check_names(path, scans)
    return scans[scans["subject"].isin(scans["subject"].unique()[:limit])].reset_index(drop=True)


def _only_fetched(scans: pd.DataFrame, folder: Path, fetched: Path) -> pd.DataFrame:
    """Return the scans that a fetch has listed: the folder may hold others, of an earlier fetch or by hand."""
    paths = set(read_cells(fetched, "\t")["path"])
    known = scans["image"].map(lambda name: Path(name).relative_to(folder).as_posix() in paths)
    if not known.all():
        others = (~known).sum(), folder, scans["image"][~known].iloc[0]
        log.warning("%d scans in %s were not fetched for this run and are left out, the first %s", *others)
    return scans[known]


def _check_names(path: str, scans: pd.DataFrame) -> None:
    """Check that subjects and scans can name files, and that no two are one: files leave out ``_T1w``, anatomies ``sub-``."""
    for row in scans.itertuples():
        for what, name in (("subject", row.subject), ("scan", row.scan)):
            if not NAME.fullmatch(name):
                raise InputError(
                    f"{path} has the {what} '{name}' ({row.image}), which cannot name a file: use no slash, and no dot at its "
                    "beginning."
                )
    for name in scans["scan"][scans["scan"].duplicated()]:
        raise InputError(f"{path} lists scan {name} more than once: give every scan a name of its own.")
    shortened = {
        "scan": scans["scan"].str.removesuffix("_T1w"),
        "subject": scans["subject"].str.removeprefix("sub-"),
    }
    for what, short in shortened.items():
        pairs = pd.DataFrame({"name": scans[what], "short": short}).drop_duplicates()
        for name in pairs["short"][pairs["short"].duplicated()]:
            one, other = pairs["name"][pairs["short"] == name]
            raise InputError(f"{path} has the {what}s {one} and {other}, which both become {name}: rename one.")


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
