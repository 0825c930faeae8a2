"""Which batch predicts which scan: written down once, so that a scan that comes or goes moves no other."""

import heapq
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from decoupled_qc.delimited import read_cells
from decoupled_qc.errors import InputError

COLUMNS = ["scan", "path", "batch"]


def read_batches(path: Path) -> pd.DataFrame:
    """Return a table with :data:`COLUMNS`, empty if there is none yet.

    Args:
        path: Of :func:`assign`'s table, tab-separated.

    Raises:
        InputError: It has other columns.
    """
    if not path.is_file():
        return pd.DataFrame(columns=COLUMNS)
    table = read_cells(path, "\t")
    if list(table) != COLUMNS:
        raise InputError(f"{path} has not the columns {', '.join(COLUMNS)}: remove it to deal out the scans anew.")
    return table.astype({"batch": int})


def assign(scans: Mapping[str, str], earlier: pd.DataFrame, size: int) -> pd.DataFrame:
    """Return the batch of each scan: the one it had, else that with most room, else a new one.

    Args:
        scans: Path → name of the scan.
        earlier: Of :func:`read_batches`; a batch that has grown larger than ``size`` is dealt out anew.
        size: Scans of a batch at most.

    Returns:
        A table with :data:`COLUMNS`, in the order of the scans.
    """
    kept = earlier[earlier["path"].isin(scans)]
    kept = kept[kept.groupby("batch")["path"].transform("size") <= size]
    batch_of = dict(zip(kept["path"], kept["batch"], strict=True))
    counts = kept["batch"].value_counts().to_dict()
    new = [path for path in scans if path not in batch_of]
    missing = -(-len(scans) // size) - len(counts)
    free = (number for number in range(len(scans)) if number not in kept["batch"].to_numpy())
    counts |= {next(free): 0 for _ in range(missing)}
    rooms = [(count, number) for number, count in counts.items() if count < size]
    heapq.heapify(rooms)
    for path in new:
        count, number = heapq.heappop(rooms)
        batch_of[path] = number
        if count + 1 < size:
            heapq.heappush(rooms, (count + 1, number))
    return pd.DataFrame([(scan, path, batch_of[path]) for path, scan in scans.items()], columns=COLUMNS)


def members(batches: pd.DataFrame, number: int | str) -> pd.DataFrame:
    """Return the rows of :func:`assign`'s table that are of one batch."""
    return batches[batches["batch"] == int(number)]


def check_gathered(listed: pd.DataFrame, tables: Sequence[Path]) -> None:
    """Check that the batches' tables hold each listed scan once, and no other.

    Args:
        listed: Of :func:`read_batches`.
        tables: ``predictions.csv`` of each batch.

    Raises:
        InputError: A scan is missing, stands there twice, or is not listed.
    """
    found = pd.concat([pd.read_csv(table, dtype=str, keep_default_na=False)["scan"] for table in tables])
    twice = found[found.duplicated()]
    for scans, what in (
        (sorted(set(listed["scan"]) - set(found)), "in no batch's table"),
        (sorted(twice), "in the tables of two batches"),
        (sorted(set(found) - set(listed["scan"])), "in a batch's table, and not listed"),
    ):
        if scans:
            raise InputError(
                f"{len(scans)} of {len(listed)} scans of apply/scans.tsv are {what}, the first {scans[0]}: run again, "
                "since scans came or went while the run began."
            )
