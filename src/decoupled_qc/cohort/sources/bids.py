"""Scans of a BIDS folder: ``sub-*/[ses-*/]anat/*_T1w.nii[.gz]``, with a ``*_dseg`` beside the scan if there is one.

The label of ``<name>_T1w`` is ``<name>_dseg``, and of ``<name>_desc-preproc_T1w`` also the one without ``desc``. What a label's
values mean is read from BIDS's lookup table where there is one: ``*_dseg.tsv`` beside the label, or ``dseg.tsv`` in the
folder of the data set. Ratings come from ``derivatives/scores.tsv`` with the columns ``bids_name`` and ``score``, as OpenNeuro
ds004173 has it, and the site from a column ``site`` of ``participants.tsv``, where there is one.
"""

import logging
import re
from pathlib import Path

import pandas as pd

from decoupled_qc.delimited import read_cells
from decoupled_qc.errors import InputError

log = logging.getLogger(__name__)

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
    sites = _sites(path / "participants.tsv")
    common = _meanings(path / "dseg.tsv")
    labels = set(_images(path, "dseg"))
    rows = []
    for image in t1_scans(path):
        scan = _stem(image)
        subject = scan.partition("_")[0]
        row = {"subject": subject, "scan": scan, "image": str(image), "rating": ratings.get(scan, "")}
        row["site"] = sites.get(subject, "")
        dseg = next((name for name in _label_names(image) if name in labels), None)
        if dseg is not None:
            lookup = dseg.with_name(_stem(dseg) + ".tsv")
            meanings = _meanings(lookup) if lookup.exists() else common
            row |= {"dseg": str(dseg), "dseg_values": meanings, "label_source": "provided"}
        rows.append(row)
    unused = sorted(labels - {Path(row["dseg"]) for row in rows if "dseg" in row})
    if unused:
        log.info("%d files *_dseg are the label of no scan by their names, the first %s", len(unused), unused[0])
    return pd.DataFrame(rows)


def t1_scans(path: Path) -> list[Path]:
    """Return the files of the T1-weighted scans of a BIDS folder, sorted."""
    return _images(path, "T1w")


def _images(path: Path, kind: str) -> list[Path]:
    """Return the images of one suffix, without hidden files, which other programs leave beside them."""
    name = f"anat/[!.]*_{kind}.nii*"
    found = [*path.glob(f"sub-*/{name}"), *path.glob(f"sub-*/ses-*/{name}")]
    return sorted(image for image in found if image.name.endswith(SUFFIXES))


def _stem(image: Path) -> str:
    return image.name.removesuffix(".gz").removesuffix(".nii")


def _label_names(image: Path) -> list[Path]:
    """Return what a scan's label may be called, the nearest to its own name first."""
    name = _stem(image).removesuffix("_T1w")
    names = dict.fromkeys((name, re.sub(r"_desc-[A-Za-z0-9]+$", "", name)))
    return [image.with_name(f"{one}_dseg{suffix}") for one in names for suffix in SUFFIXES]


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


def _sites(path: Path) -> dict[str, str]:
    """Return participant → site; empty if the table is not there or tells of none."""
    table = read_cells(path, "\t") if path.exists() else pd.DataFrame()
    if not {"participant_id", "site"} <= set(table):
        return {}
    return dict(zip(table["participant_id"], table["site"], strict=True))


def _ratings(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    table = read_cells(path, "\t")
    for column in ("bids_name", "score"):
        if column not in table:
            raise InputError(f"{path} has no column '{column}': it needs bids_name and score.")
    for row in table.index[table["bids_name"].duplicated()]:
        raise InputError(
            f"{path}, row {row + 2}: {table['bids_name'][row]} has a row above, too: keep one, and give the ratings of several "
            "raters by config key scoring.ratings."
        )
    return dict(zip(table["bids_name"], table["score"], strict=True))
