"""The list of subjects and their scans that everything after the cohort reads."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
from nibabel.spatialimages import SpatialImage

from decoupled_qc.delimited import read_cells
from decoupled_qc.errors import InputError
from decoupled_qc.images import AFFINE_TOLERANCE_MM, open_image

COLUMNS = ["subject", "anatomy", "role", "image", "dseg", "label_source"]
RATED_COLUMNS = ["scan", "rating", "rater", "site"]  # may be absent: empty where a source does not tell
ROLES = ("train", "validation", "test")
REAL = "real"  # rated scans with real artefacts, of subjects that do nothing else; a cohort may have none


def read_manifest(path: Path) -> pd.DataFrame:
    """Read and check a cohort manifest, without opening the volumes: see :func:`check_volumes`.

    Args:
        path: Tab-separated table with the columns subject, anatomy, role (train, validation, test or real), image and dseg
            (relative to the manifest's folder) and label_source, and perhaps scan, rating, rater and site; one row per
            subject, and one per scan of a real subject. Other columns, such as the hashes of a cohort made here, may be there.

    Returns:
        The table with all of these columns and its others, all text.

    Raises:
        InputError: A column is missing; a subject stands twice or has two roles; a role is unknown; an anatomy gives test
            or real subjects and others; a real scan has no name or rating; a rating is no number; an image or label is missing.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} is missing: make the cohort first, or name an existing manifest.")
    return check_manifest(read_cells(path, "\t"), path)


def check_manifest(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return a manifest with all its columns, checked as :func:`read_manifest` does.

    Args:
        table: All text.
        path: Where it lies or is to lie, for the messages and the files that it names.

    Raises:
        InputError: See :func:`read_manifest`.
    """
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
    numbers = pd.to_numeric(table["rating"].where(table["rating"] != "", "0"), errors="coerce")
    for row in table[numbers.isna()].itertuples():
        raise InputError(
            f"{path}: a scan of subject {row.subject} has the rating '{row.rating}', which is no number: correct it."
        )
    held_out = table["role"].isin(["test", REAL])
    shared = sorted(set(table["anatomy"][held_out]) & set(table["anatomy"][~held_out]))
    if shared:
        raise InputError(
            f"{path}: anatomy {shared[0]} gives test subjects and training or validation subjects, so the test would "
            "repeat a head seen in training: give it one of the two."
        )
    for row in table.itertuples():
        for file in (path.parent / row.image, path.parent / row.dseg):
            if not os.path.isfile(file):  # which a name too long for a file does not end
                raise InputError(
                    f"{file} is missing: {path} lists it for subject {row.subject}; add it or drop the row."
                )
    return table


def check_volumes(table: pd.DataFrame, path: Path) -> None:
    """Read every image and label of a cohort in full, once where its manifest is made: a cut-off file has a good header.

    Args:
        table: Of :func:`read_manifest`.
        path: Of the manifest, to whose folder the files are relative.

    Raises:
        InputError: An image or label is unreadable, not three-dimensional, or lies on another grid than the other.
    """
    for row in table.itertuples():
        image, dseg = (_read(path.parent / name, path, row.subject) for name in (row.image, row.dseg))
        if image.shape != dseg.shape:
            raise InputError(
                f"{path.parent / row.dseg} has shape {dseg.shape}, but its image {row.image} has {image.shape}: "
                f"resample the label of subject {row.subject} to its image."
            )
        if not np.allclose(image.affine, dseg.affine, atol=AFFINE_TOLERANCE_MM):
            raise InputError(
                f"{path.parent / row.dseg} has another affine than its image {row.image}: resample the label of subject "
                f"{row.subject} to its image."
            )


def _read(file: Path, manifest: Path, subject: str) -> SpatialImage:
    """Return a 3D volume that is readable to its end."""
    try:
        volume = open_image(file)
        volume.get_fdata(dtype="float32", caching="unchanged")
    except InputError as error:
        raise InputError(f"{manifest}, subject {subject}: {error}") from error
    except Exception as error:  # nibabel, gzip and zlib each raise their own kinds
        raise InputError(f"{file} cannot be read as NIfTI ({error}): replace it, or drop subject {subject}.") from error
    if len(volume.shape) != 3:
        raise InputError(f"{file} has shape {volume.shape}: give subject {subject} a three-dimensional volume.")
    return volume
