"""The list of subjects and their scans that everything after the cohort reads."""

from pathlib import Path

import pandas as pd

from decoupled_qc.delimited import read_cells
from decoupled_qc.errors import InputError
from decoupled_qc.scans import open_image

COLUMNS = ["subject", "anatomy", "role", "image", "dseg", "label_source"]
RATED_COLUMNS = ["scan", "rating", "rater", "site"]  # may be absent: empty where a source does not tell
ROLES = ("train", "validation", "test")
REAL = "real"  # rated scans with real artefacts, of subjects that do nothing else; a cohort may have none


def read_manifest(path: Path) -> pd.DataFrame:
    """Read and check a cohort manifest.

    Args:
        path: Tab-separated table with the columns subject, anatomy, role (train, validation, test or real), image and dseg
            (relative to the manifest's folder) and label_source, and perhaps scan, rating, rater and site; one row per
            subject, and one per scan of a real subject.

    Returns:
        The table with all of these columns, all text.

    Raises:
        InputError: A column is missing; a subject stands twice or has two roles; a role is unknown; an anatomy gives test
            or real subjects and others; a real scan has no name or rating; an image or label is missing, unreadable, not
            three-dimensional, or of the other's shape.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} is missing: make the cohort first, or name an existing manifest.")
    table = read_cells(path, "\t")
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise InputError(f"{path} lacks the column(s) {', '.join(missing)}: add them; the table is tab-separated.")
    if table.empty:
        raise InputError(f"{path} lists no subject: give at least one anatomy of the config some subjects.")
    table = table.assign(**{column: "" for column in RATED_COLUMNS if column not in table})
    for row in table[~table["role"].isin([*ROLES, REAL])].itertuples():
        raise InputError(
            f"{path}: subject {row.subject} has role '{row.role}'; use one of {', '.join([*ROLES, REAL])}."
        )
    several = table["subject"].duplicated() & (table["role"] != REAL)
    several |= table.groupby("subject")["role"].transform("nunique") > 1
    for subject in table["subject"][several | table.duplicated(["subject", "scan"])]:
        raise InputError(f"{path} lists subject {subject} more than once: give every subject one row.")
    for row in table[(table["role"] == REAL) & ((table["scan"] == "") | (table["rating"] == ""))].itertuples():
        raise InputError(f"{path}: a real scan of subject {row.subject} has no name or no rating: give it both.")
    held_out = table["role"].isin(["test", REAL])
    shared = sorted(set(table["anatomy"][held_out]) & set(table["anatomy"][~held_out]))
    if shared:
        raise InputError(
            f"{path}: anatomy {shared[0]} gives test subjects and training or validation subjects, so the test would "
            "repeat a head seen in training: give it one of the two."
        )
    for row in table.itertuples():
        image, dseg = (_shape(path.parent / name, path, row.subject) for name in (row.image, row.dseg))
        if image != dseg:
            raise InputError(
                f"{path.parent / row.dseg} has shape {dseg}, but its image {row.image} has {image}: "
                f"resample the label of subject {row.subject} to its image."
            )
    return table


def _shape(file: Path, manifest: Path, subject: str) -> tuple[int, ...]:
    """Return the shape of a readable 3D volume; reads the data, since a cut-off file has a good header."""
    if not file.is_file():
        raise InputError(f"{file} is missing: {manifest} lists it for subject {subject}; add it or drop the row.")
    try:
        volume = open_image(file)
        volume.get_fdata(dtype="float32", caching="unchanged")
    except InputError as error:
        raise InputError(f"{manifest}, subject {subject}: {error}") from error
    except Exception as error:  # nibabel, gzip and zlib each raise their own kinds
        raise InputError(f"{file} cannot be read as NIfTI ({error}): replace it, or drop subject {subject}.") from error
    if len(volume.shape) != 3:
        raise InputError(f"{file} has shape {volume.shape}: give subject {subject} a three-dimensional volume.")
    return volume.shape
