"""From what a user names on the command line to a list of scans, each with a name that is safe and its own."""

import glob
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from decoupled_qc.apply.results_folder import OWN_NAMES, is_ours
from decoupled_qc.cohort.sources import bids
from decoupled_qc.errors import InputError
from decoupled_qc.images import MGH_SUFFIXES, SUFFIXES

READABLE = (*SUFFIXES[::-1], *MGH_SUFFIXES)  # .nii.gz before .nii
SUBJECT = re.compile(r"(sub-[A-Za-z0-9]+)(?:_(ses-[A-Za-z0-9]+))?(?:_[a-z]+-[A-Za-z0-9]+)*_T1w")
SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
BIDS_FOLDERS = ("sub-*/", "sub-*/anat/", "sub-*/ses-*/", "sub-*/ses-*/anat/")
LONGEST_NAME = 100  # characters, so that no file system refuses the name of a map


@dataclass(frozen=True)
class Input:
    """A scan to predict.

    Attributes:
        path: Absolute, so that a later call from elsewhere means the same file.
        scan: Name of the scan, of letters, digits, dots, dashes and underscores, not shared with another, not even in other
            letter case, which some file systems take for the same, nor with a file of the results.
        folder: Where its results go, relative to the folder of all results.
    """

    path: Path
    scan: str
    folder: str


def find_inputs(given: Iterable[str | os.PathLike], out: Path, taken: Mapping[str, str]) -> list[Input]:
    """Return the scans of files, folders and BIDS datasets, in the order given, each file once.

    A BIDS dataset (a folder with ``dataset_description.json`` or ``sub-*``) gives its T1-weighted scans, any other folder all
    files with a readable suffix, in folders inside it too. Symbolic links are followed, loops not.

    A folder without scans, or one that cannot be read, is returned in place of its scans, so that it fails alone.

    Args:
        given: Files and folders; a file need not exist, so that one wrong name among many is reported with its own row.
        out: Folder of results, in which no scan is looked for.
        taken: Path → scan of earlier calls with the same results folder: a path keeps its name, and no other gets it.

    Raises:
        InputError: There is no scan in any of them.
    """
    used = {name.casefold() for name in (*taken.values(), *OWN_NAMES)}
    found = {}
    for path in map(Path, given):
        for file in map(Path.absolute, _in_folder(path, out) if os.path.isdir(path) else [path]):
            key = os.path.realpath(file)
            if key not in found:
                name = taken.get(str(file), "")
                if not SAFE.fullmatch(name):  # a table may come from anywhere
                    name = _own_name(file, used)
                used.add(name.casefold())
                found[key] = Input(file, name, _folder(file, name))
    if not found:
        raise InputError("No scan was given: name files, folders or a BIDS dataset.")
    if all(os.path.isdir(one.path) and entries(one.path) is not None for one in found.values()):
        raise InputError(no_scan_in(next(iter(found.values())).path))
    return list(found.values())


def no_scan_in(folder: Path) -> str:
    """Return in a sentence why a folder gives no scan."""
    if entries(folder) is None:
        return f"{folder} is a folder that cannot be read: correct its permissions."
    kind = "T1-weighted scan in sub-*/[ses-*/]anat/" if _is_bids(folder) else f"file that ends in {', '.join(READABLE)}"
    return f"{folder} holds no {kind}: give another folder, or the files themselves."


def expand_patterns(patterns: Iterable[str]) -> list[str]:
    """Return the files, folders and datasets that patterns stand for, sorted; of a ``.txt``, those that its lines name.

    Args:
        patterns: Paths, with ``*`` and ``**`` as in a shell.

    Raises:
        InputError: Nothing fits one of them.
    """
    found = []
    for pattern in patterns:
        files = sorted(glob.glob(pattern, recursive=True))
        if not files:
            raise InputError(f"Nothing fits '{pattern}' of config key apply.inputs: correct it.")
        for file in files:
            listed = Path(file).read_text().splitlines() if file.endswith(".txt") else [file]
            found += [line.strip() for line in listed if line.strip()]
    return found


def entries(folder: Path) -> list[Path] | None:
    """Return what is in a folder, sorted; None if it cannot be read."""
    try:
        return sorted(folder.iterdir()) if os.access(folder, os.X_OK) else None
    except OSError:
        return None


def _in_folder(folder: Path, out: Path) -> list[Path]:
    """Return the scans in a folder, and folders in it that cannot be read; the folder itself if there is neither."""
    if entries(folder) is None:
        return [folder]
    if _is_bids(folder):
        inside = [entry for pattern in BIDS_FOLDERS for entry in sorted(folder.glob(pattern))]
        files = [*bids.t1_scans(folder), *(entry for entry in inside if entries(entry) is None)]
    else:
        files = sorted(_walk(folder, out.resolve(), set()))
    return files or [folder]


def _is_bids(folder: Path) -> bool:
    return (folder / "dataset_description.json").is_file() or any(folder.glob("sub-*/"))


def _walk(folder: Path, out: Path, seen: set[Path]) -> Iterator[Path]:
    """Yield the readable files below a folder, and folders that cannot be read.

    Each real folder is entered once, hidden ones and results, of this call or another, never.
    """
    real = folder.resolve()
    if real in seen or real == out or is_ours(real):
        return
    seen.add(real)
    inside = entries(folder)
    if inside is None:
        yield folder
        return
    for entry in inside:
        if entry.name.startswith("."):
            continue
        if os.path.isdir(entry):
            yield from _walk(entry, out, seen)
        elif entry.name.endswith(READABLE):
            yield entry


def _own_name(file: Path, taken: set[str]) -> str:
    """Return the file's name made safe; one that is taken gets a hash of the file's place, so that it does not change.

    Args:
        file: A scan.
        taken: Names in folded case.
    """
    stem = next((file.name.removesuffix(end) for end in READABLE if file.name.endswith(end)), file.name)
    if SUBJECT.fullmatch(stem):
        stem = stem.removesuffix("_T1w")
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._-")[:LONGEST_NAME] or "scan"
    if safe.casefold() not in taken:
        return safe
    digest = hashlib.sha256(os.fsencode(file)).hexdigest()
    return next(name for n in range(8, 64) if (name := f"{safe}-{digest[:n]}").casefold() not in taken)


def _folder(file: Path, scan: str) -> str:
    """Return ``sub-x/[ses-y/]anat`` for a scan with a BIDS name, else a folder of its own."""
    match = SUBJECT.fullmatch(f"{scan}_T1w") if "_T1w." in file.name else None
    return "/".join([*filter(None, match.groups()), "anat"]) if match else scan
