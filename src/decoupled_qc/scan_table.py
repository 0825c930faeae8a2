"""Tables of scans as one job of a run hands them to the next: a name is text, whatever it looks like."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

SCANS_TABLE = "scans.tsv"
FLOATS = ("severity", "rating", "value")
KINDS = {**dict.fromkeys(FLOATS, float), "replicate": int}


def read_scan_table(path: Path) -> pd.DataFrame:
    """Read a condition's ``scans.tsv`` or a job's part of ``scores.csv``.

    Args:
        path: Tab-separated if it ends in ``.tsv``, else with commas.

    Returns:
        Its columns: severities, ratings and values float, NaN where empty, replicates int, and all others text, so that a
        subject ``0001`` stays one.
    """
    return pd.read_csv(
        path,
        sep="\t" if path.suffix == ".tsv" else ",",
        dtype=defaultdict(lambda: str, KINDS),
        keep_default_na=False,
        na_values=dict.fromkeys(FLOATS, ""),
    )


def read_conditions(folders: Sequence[Path]) -> pd.DataFrame:
    """Read the ``scans.tsv`` of several conditions.

    Args:
        folders: Of the conditions, ``sim-<artefact>`` and the like.

    Returns:
        Their rows one after another, image and dseg as whole paths, with the name of the condition's folder as ``folder``.
    """
    tables = []
    for folder in map(Path, folders):
        scans = read_scan_table(folder / SCANS_TABLE)
        whole = {column: [str(folder / name) for name in scans[column]] for column in ("image", "dseg")}
        tables.append(scans.assign(**whole, folder=folder.name))
    return pd.concat(tables, ignore_index=True)
