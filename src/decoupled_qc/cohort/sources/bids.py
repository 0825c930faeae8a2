"""Scans of a BIDS folder: ``sub-*/[ses-*/]anat/*_T1w.nii[.gz]``, with a ``*_dseg`` beside the scan if there is one.

Ratings come from ``derivatives/scores.tsv`` with the columns ``bids_name`` and ``score``, as OpenNeuro ds004173 has it.
"""

from pathlib import Path

import pandas as pd

from decoupled_qc.delimited import read_cells
from decoupled_qc.errors import InputError

SUFFIXES = (".nii.gz", ".nii")


def find(path: Path) -> pd.DataFrame:
    """Return the T1-weighted scans of a BIDS folder, see :mod:`decoupled_qc.cohort.sources`."""
    ratings = _ratings(path / "derivatives" / "scores.tsv")
    rows = []
    for image in t1_scans(path):
        suffix = next(suffix for suffix in SUFFIXES if image.name.endswith(suffix))
        scan = image.name.removesuffix(suffix)
        dseg = image.with_name(scan.removesuffix("_T1w") + "_dseg" + suffix)
        rows.append(
            {
                "subject": scan.partition("_")[0],
                "scan": scan,
                "image": str(image),
                "dseg": str(dseg) if dseg.exists() else "",
                "rating": ratings.get(scan, ""),
                "label_source": "provided" if dseg.exists() else "",
            }
        )
    return pd.DataFrame(rows)


def t1_scans(path: Path) -> list[Path]:
    """Return the files of the T1-weighted scans of a BIDS folder, sorted."""
    found = [*path.glob("sub-*/anat/*_T1w.nii*"), *path.glob("sub-*/ses-*/anat/*_T1w.nii*")]
    return sorted(image for image in found if image.name.endswith(SUFFIXES))


def _ratings(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    table = read_cells(path, "\t")
    for column in ("bids_name", "score"):
        if column not in table:
            raise InputError(f"{path} has no column '{column}': it needs bids_name and score.")
    return dict(zip(table["bids_name"], table["score"], strict=True))
