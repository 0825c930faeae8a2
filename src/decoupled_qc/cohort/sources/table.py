"""Scans of a plain table, ``.tsv`` or ``.csv``, with ``subject`` and ``image`` and any other column of a listing.

File names are relative to the table's folder. A scan without a name gets that of its file.
"""

from pathlib import Path

import pandas as pd

from decoupled_qc.cohort import sources
from decoupled_qc.delimited import read_cells
from decoupled_qc.errors import InputError


def find(path: Path) -> pd.DataFrame:
    """Return the scans of a table, see :mod:`decoupled_qc.cohort.sources`.

    Raises:
        InputError: A needed column is missing, a column is unknown, or a row lacks its subject or image.
    """
    table = read_cells(path, "," if path.suffix == ".csv" else "\t").replace(sources.MISSING, "")
    for column in ("subject", "image"):
        if column not in table:
            raise InputError(f"{path} lacks the column {column}: add it; a .csv has commas, any other table has tabs.")
        for row in table.index[table[column] == ""]:
            raise InputError(f"{path} has no {column} in row {row + 2}: fill it in or drop the row.")
    for column in set(table) - set(sources.COLUMNS):
        raise InputError(f"{path} has the unknown column {column}: use {', '.join(sources.COLUMNS)}.")
    of_file = [Path(name).name.removesuffix(".gz").removesuffix(".nii") for name in table["image"]]
    table["scan"] = table["scan"].where(table["scan"] != "", of_file) if "scan" in table else of_file
    for column in ("image", "dseg"):
        if column in table:
            table[column] = [str(path.parent / name) if name else "" for name in table[column]]
    if "dseg" in table and "label_source" not in table:
        table["label_source"] = ["provided" if name else "" for name in table["dseg"]]
    return table
