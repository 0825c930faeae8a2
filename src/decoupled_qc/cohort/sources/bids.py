"""Scans of a BIDS folder: ``sub-*/[ses-*/]anat/*_T1w.nii[.gz]``, with a ``*_dseg`` beside the scan if there is one.

What a label's values mean is read from BIDS's lookup table where there is one: ``*_dseg.tsv`` beside the label, or
``dseg.tsv`` in the folder of the data set. Ratings come from ``derivatives/scores.tsv`` with the columns ``bids_name`` and
``score``, as OpenNeuro ds004173 has it.
"""

from pathlib import Path

import pandas as pd

from decoupled_qc.delimited import read_cells
from decoupled_qc.errors import InputError

SUFFIXES = (".nii.gz", ".nii")
LABELS = {  # of BIDS's common table: index, name, abbreviation, and the tissue that it counts as, as with FreeSurfer's
    ("0", "background", "bg"): "background",
    ("1", "grey matter", "gm"): "grey",
    ("2", "white matter", "wm"): "white",
    ("3", "cerebrospinal fluid", "csf"): "csf",
    ("4", "bone", "b"): "background",
    ("5", "soft tissue", "st"): "background",
    ("6", "non-brain", "nb"): "background",
    ("7", "lesion", "l"): "white",
    ("8", "cortical grey matter", "cgm"): "grey",
    ("9", "subcortical grey matter", "sgm"): "grey",
    ("10", "brainstem", "bs"): "white",
}
KNOWN = {key: tissue for keys, tissue in LABELS.items() for key in keys}


def find(path: Path) -> pd.DataFrame:
    """Return the T1-weighted scans of a BIDS folder, see :mod:`decoupled_qc.cohort.sources`."""
    ratings = _ratings(path / "derivatives" / "scores.tsv")
    common = _meanings(path / "dseg.tsv")
    rows = []
    for image in t1_scans(path):
        suffix = next(suffix for suffix in SUFFIXES if image.name.endswith(suffix))
        scan = image.name.removesuffix(suffix)
        dseg = image.with_name(scan.removesuffix("_T1w") + "_dseg" + suffix)
        lookup = dseg.with_name(dseg.name.removesuffix(suffix) + ".tsv")
        rows.append(
            {
                "subject": scan.partition("_")[0],
                "scan": scan,
                "image": str(image),
                "dseg": str(dseg) if dseg.exists() else "",
                "dseg_values": "" if not dseg.exists() else _meanings(lookup) if lookup.exists() else common,
                "rating": ratings.get(scan, ""),
                "label_source": "provided" if dseg.exists() else "",
            }
        )
    return pd.DataFrame(rows)


def t1_scans(path: Path) -> list[Path]:
    """Return the files of the T1-weighted scans of a BIDS folder, sorted."""
    found = [*path.glob("sub-*/anat/*_T1w.nii*"), *path.glob("sub-*/ses-*/anat/*_T1w.nii*")]
    return sorted(image for image in found if image.name.endswith(SUFFIXES))


def _meanings(lookup: Path) -> str:
    """Return what the values of a label are, such as ``1=grey 2=white 3=csf``; empty if the table is not there or of no tissues.

    A label of the table counts by its mapping to the common table, its abbreviation or its name; one that none of them
    tells is left out, so that it is asked for only where a label has it. FreeSurfer's structures are known without a table.
    """
    if not lookup.exists():
        return ""
    table = read_cells(lookup, "\t")
    if "index" not in table:
        raise InputError(f"{lookup} has no column 'index': BIDS's lookup tables have index and name.")
    found = {}
    for row in table.to_dict("records"):
        told = (row.get(column, "").lower().replace("gray", "grey") for column in ("mapping", "abbreviation", "name"))
        tissue = next((KNOWN[key] for key in told if key in KNOWN), None)
        if tissue is not None and row["index"] != "0":
            found[row["index"]] = tissue
    complete = {"grey", "white", "csf"} <= set(found.values())
    return " ".join(f"{index}={tissue}" for index, tissue in found.items()) if complete else ""


def _ratings(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    table = read_cells(path, "\t")
    for column in ("bids_name", "score"):
        if column not in table:
            raise InputError(f"{path} has no column '{column}': it needs bids_name and score.")
    return dict(zip(table["bids_name"], table["score"], strict=True))
