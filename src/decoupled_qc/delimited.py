"""Tables of text from comma- or tab-separated files, with nothing guessed: every row has the header's cells."""

import csv
from pathlib import Path

import pandas as pd

from decoupled_qc.errors import InputError

LONGEST_CELL = 4096  # characters, as of a path: a longer name or number is a broken file's


def read_cells(path: str | Path, separator: str) -> pd.DataFrame:
    """Read a table with a header; each cell as it stands, an empty one as empty text. Empty lines do not count.

    Args:
        path: UTF-8, with or without a byte-order mark.
        separator: Between cells, a comma or a tab.

    Raises:
        InputError: It cannot be read, is empty, has a row longer or shorter than the header, a cell longer than any path, or
            two columns of one name; row 2 is the first below the header.
    """
    try:
        _check_rows(path, separator)
        cells = pd.read_csv(path, sep=separator, header=None, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except InputError:
        raise
    except (OSError, ValueError, csv.Error) as error:  # ValueError: not UTF-8, or whatever else pandas makes of it
        raise InputError(f"{path} cannot be read as a table ({error}): give a csv or tsv with a header.") from error
    header = cells.iloc[0]
    for name in header[header.duplicated()]:
        raise InputError(f"{path} has two columns '{name}': rename one.")
    return cells.iloc[1:].reset_index(drop=True).set_axis(header.to_numpy(), axis=1)


def _check_rows(path: str | Path, separator: str) -> None:
    """Check what pandas does not: it fills up short rows, and makes names of rows of the first of too many cells."""
    with Path(path).open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file, delimiter=separator, strict=True)
        width = 0
        for number, cells in enumerate(rows, start=1):
            width = width or len(cells)
            if cells and len(cells) != width:
                raise InputError(
                    f"{path}, row {number}: it has {len(cells)} cells and the header {width}: fill it up, or quote separators."
                )
            if any("\0" in cell for cell in cells):
                raise InputError(f"{path}, row {number}: it holds a NUL character, so this is no table of text.")
            if (longest := max(map(len, cells), default=0)) > LONGEST_CELL:
                raise InputError(
                    f"{path}, row {number}: a cell has {longest} characters, more than any name or number: correct it, or quote "
                    "separators."
                )
        if not width:
            raise InputError(f"{path} is empty: give a csv or tsv with a header.")
