"""What raters, and other tools, said of the scans of the real condition."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from decoupled_qc.analysis.scores import RATED, RATED_STAND_IN, numbers, refuse
from decoupled_qc.delimited import read_cells
from decoupled_qc.errors import InputError
from decoupled_qc.scan_table import read_scan_table

RATING_COLUMNS = ("scan", "rater", "rating")
TOOL = "mriqc"  # the aggregation of measures that come with a data set
IDENTITY = ["subject", "scan", "model", "replicate", "condition", "artefact", "severity"]
NAMES = ("scan", "bids_name")  # of the column that names the scan in a table of another tool; the latter is MRIQC's


def acquisition(scan: str) -> str:
    """Return the ``acq`` entity of a scan's BIDS name, empty if there is none."""
    found = re.search(r"_acq-([A-Za-z0-9]+)", scan)
    return found[1] if found else ""


def is_rated(scans_table: Path) -> bool:
    """Say whether the scans of a condition came with ratings."""
    return "rating" in read_scan_table(scans_table)


def judged(
    scores: pd.DataFrame, scans_table: Path, ratings: Path | None, *, table: str | None, columns: list[str]
) -> pd.DataFrame:
    """Return rows for ``scores.csv``: what raters gave to the scans of the real condition, and what another tool measured.

    Args:
        scores: The rows that the condition has already.
        scans_table: ``scans.tsv`` of the condition; with a column ``rating`` where the cohort came with ratings.
        ratings: Table that :func:`read_ratings` reads, in place of the cohort's ratings; None for these.
        table, columns: Where the other tool's measures are, see :func:`read_measures`; None without one.
    """
    scans = read_scan_table(scans_table)
    found = {}
    if ratings is not None:
        found["rating", RATED if "rating" in scans else RATED_STAND_IN] = read_ratings(ratings, scans["scan"])
    elif "rating" in scans:
        found["rating", RATED] = scans.set_index("scan")["rating"]
    if table is not None:
        measured = read_measures(Path(table), columns, scans["scan"])
        found |= {(column, TOOL): measured[column] for column in columns}
    identity = scores[IDENTITY].drop_duplicates()
    rows = [
        identity.assign(metric=metric, aggregation=aggregation, value=identity["scan"].map(values))
        for (metric, aggregation), values in found.items()
    ]
    if not rows:
        return scores.iloc[:0]
    added = pd.concat(rows)
    return added.assign(note=np.where(added["value"].isna(), "nobody gave one for this scan", ""))


def read_ratings(path: Path, scans: pd.Series) -> pd.Series:
    """Return scan → mean rating over raters of a table of ratings, 1 (worst) to 4 (best), NaN where nobody rated.

    Args:
        path: Tab-separated, with the columns ``scan``, ``rater``, ``rating``, as ``decoupled-qc rate`` makes it.
        scans: Names of the scans of the condition.

    Raises:
        InputError: The file is missing, a column is, a rater rated a scan twice, a rating is not 1 to 4, or no scan is rated.
    """
    table = read_rater_table(path)
    means = table.groupby("scan")["rating"].mean()
    found = scans.map(means)
    if found.isna().all():
        raise InputError(
            f"{path} rates none of the scans of condition real, such as {scans.iloc[0]}: check its column scan."
        )
    return found.set_axis(scans)


def read_rater_table(path: Path) -> pd.DataFrame:
    """Read and check a table of ratings, see :func:`read_ratings`."""
    if not Path(path).is_file():
        raise InputError(f"{path} does not exist: correct config key scoring.ratings, or rate first.")
    table = read_cells(path, "\t")
    for column in RATING_COLUMNS:
        if column not in table:
            raise InputError(f"{path} lacks the column {column}: it needs {', '.join(RATING_COLUMNS)}, with tabs.")
    for row in table.index[~table["rating"].isin(list("1234"))]:
        raise InputError(f"{path} has the rating '{table['rating'][row]}' in row {row + 2}: use 1 (worst) to 4 (best).")
    for row in table[table.duplicated(["scan", "rater"])].itertuples():
        raise InputError(f"{path} has two ratings of {row.scan} by {row.rater or 'one rater'}: keep one.")
    return table.astype({"rating": float})[list(RATING_COLUMNS)]


def read_measures(path: Path, columns: list[str], scans: pd.Series) -> pd.DataFrame:
    """Return measures of another tool for the scans of a condition, a column each, NaN where the tool has none.

    Args:
        path: Tab-separated, one row per scan, named by its BIDS name with or without ``_T1w`` in the column ``bids_name``
            or ``scan``.
        columns: To take.
        scans: Names of the scans.

    Raises:
        InputError: The file or a column is missing, it has a scan twice or what is no number, or it knows none of the scans.
    """
    if not Path(path).is_file():
        raise InputError(f"{path} does not exist: correct config key scoring.measures.table.")
    table = read_cells(path, "\t")
    name = next((column for column in NAMES if column in table), None)
    if name is None:
        raise InputError(f"{path} has no column that names the scan: call it {' or '.join(NAMES)}.")
    for column in columns:
        if column not in table:
            raise InputError(f"{path} has no column '{column}' of config key scoring.measures.columns.")
    named = table[name].str.removesuffix("_T1w")
    refuse(path, named.duplicated(), "gives measures of the same scan as an earlier row: keep one")
    if not named.isin(scans).any():
        raise InputError(
            f"{path} knows none of the scans of condition real, such as {scans.iloc[0]}: check column {name}."
        )
    measured = {column: numbers(path, table[column]) for column in columns}
    return pd.DataFrame(measured, index=table.index).set_axis(named).reindex(scans)
