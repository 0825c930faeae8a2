"""Reading scores.csv, one value a row, and turning it into one row a scan."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from decoupled_qc.causes import NO_ARTEFACT
from decoupled_qc.delimited import read_cells
from decoupled_qc.errors import InputError
from decoupled_qc.score_table import COLUMNS, NOT_SCORES

SCAN_COLUMNS = ["model", "replicate", "subject", "scan", "condition", "artefact", "severity"]
TARGET_OF = {"simulated": "dice", "real": "rating"}  # of the sets that tables and leaderboard show
OURS = "artefact_uncertainty:mean"
RATED = "rated"  # the aggregation of a rating that raters gave to scans with real artefacts
STAND_IN = "stand_in"  # of a rating that no rater gave
RATED_STAND_IN = "rated_stand_in"  # of raters' ratings of scans whose artefacts are stand-ins
SPELT_MISSING = ("", "na", "n/a", "nan")


def read_scores(path: Path) -> pd.DataFrame:
    """Read and check ``scores.csv``.

    A value may be missing (empty): it is left out of the statistics, which say so. Everything else must be
    there.

    Args:
        path: Comma-separated, with the columns ``COLUMNS`` (more are ignored).

    Returns:
        Those columns; ``value`` and ``severity`` are float, NaN where empty.

    Raises:
        InputError: A column is missing, a cell is empty or no number, or a value is given twice; row 2 is the
            first below the header.
    """
    table = read_cells(path, ",")
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise InputError(f"{path} has no column '{missing[0]}': it needs {', '.join(COLUMNS)}.")
    if table.empty:
        raise InputError(f"{path} has a header but no row: give it one row per scan, metric and aggregation.")
    table = table[list(COLUMNS)]
    for column in COLUMNS:
        if column in ("severity", "value"):
            table[column] = numbers(path, table[column])
        else:
            refuse(path, table[column] == "", f"column '{column}' is empty: fill it in")
    key = ["model", "replicate", "scan", "metric", "aggregation"]
    repeated = "gives the same model, replicate, scan, metric and aggregation as an earlier row: keep one"
    refuse(path, table.duplicated(key), repeated)
    of_scan = table.groupby("scan")
    for column in ("subject", "condition", "artefact", "severity"):
        first = of_scan[column].transform("first")
        other = (table[column] != first) & ~(table[column].isna() & first.isna())
        refuse(path, other, f"gives another {column} for this scan than an earlier row: correct one")
    return table


def numbers(path: Path, cells: pd.Series) -> pd.Series:
    """Return cells as float, NaN where empty or spelt as missing.

    Args:
        path: Of the table, for the message.
        cells: Text.

    Raises:
        InputError: A cell is neither missing nor a finite number.
    """
    absent = cells.str.strip().str.lower().isin(SPELT_MISSING)
    found = pd.to_numeric(cells.where(~absent), errors="coerce").astype(float)
    bad = ~absent & ~np.isfinite(found)
    refuse(path, bad, f"column '{cells.name}' is not a finite number: correct it, or leave it empty if missing")
    return found


def refuse(path: Path, bad: pd.Series, reason: str) -> None:
    """Raise an InputError for the first bad row, numbered as a spreadsheet does.

    Args:
        path: Of the table.
        bad: A boolean per row.
        reason: What is wrong and what to do.
    """
    if bad.any():
        raise InputError(f"{path}, row {int(np.flatnonzero(bad)[0]) + 2}: {reason}.")


def read_subjects(path: Path) -> pd.DataFrame:
    """Read which anatomy each subject comes from, and its role.

    Args:
        path: Tab-separated manifest with the columns ``subject``, ``anatomy``, ``role``.

    Raises:
        InputError: A column is missing or a subject is listed twice.
    """
    table = read_cells(path, "\t")
    for column in ("subject", "anatomy", "role"):
        if column not in table:
            raise InputError(f"{path} has no column '{column}': it needs subject, anatomy and role.")
    table = table[["subject", "anatomy", "role"]].drop_duplicates(ignore_index=True)  # a real subject has several scans
    refuse(path, table.duplicated("subject"), "gives a subject another anatomy or role than an earlier row: keep one")
    return table


def one_row_a_scan(scores: pd.DataFrame, subjects: pd.DataFrame) -> pd.DataFrame:
    """Return a wide table: a row per model, replicate and scan, a column per score.

    Args:
        scores: As :func:`read_scores` returns it.
        subjects: As :func:`read_subjects` returns it.

    Returns:
        The columns of a scan, ``anatomy``, and one float column ``<metric>:<aggregation>`` per score.

    Raises:
        InputError: A subject of the scores has no anatomy.
    """
    unknown = sorted(set(scores["subject"]) - set(subjects["subject"]))
    if unknown:
        raise InputError(f"Subject '{unknown[0]}' of the scores is not in the manifest: add a row for it there.")
    column = scores["metric"] + ":" + scores["aggregation"]
    filled = scores.assign(column=column, severity=scores["severity"].fillna(-1.0))
    wide = filled.pivot(index=SCAN_COLUMNS, columns="column", values="value").reset_index()
    wide.columns.name = None
    wide["severity"] = wide["severity"].replace(-1.0, np.nan)
    anatomy = subjects.set_index("subject")["anatomy"]
    wide.insert(3, "anatomy", wide["subject"].map(anatomy))
    return wide


def read_wide(scores: Path, manifest: Path) -> pd.DataFrame:
    """Read ``scores.csv`` and the manifest into one row a scan, of one network.

    Args:
        scores: See :func:`read_scores`.
        manifest: See :func:`read_subjects`.

    Raises:
        InputError: The scores are of several networks, which a figure would mix.
    """
    wide = one_row_a_scan(read_scores(scores), read_subjects(manifest))
    networks = wide[["model", "replicate"]].drop_duplicates()
    if len(networks) > 1:
        names = ", ".join(f"{row.model} replicate {row.replicate}" for row in networks.itertuples())
        raise InputError(f"{scores} holds several networks ({names}): keep the rows of one.")
    return wide


def each_model(scores: pd.DataFrame, subjects: pd.DataFrame) -> Iterator[tuple[dict, pd.DataFrame]]:
    """Yield the names (``model``, ``replicate``) and the wide table of each network.

    Args:
        scores, subjects: As for :func:`one_row_a_scan`.
    """
    wide = one_row_a_scan(scores, subjects)
    measured = scores["metric"] + ":" + scores["aggregation"]
    for (model, replicate), one in wide.groupby(["model", "replicate"], sort=True):
        # A column that only another network has goes; one whose values are all missing stays, to be stated so.
        own = set(measured[(scores["model"] == model) & (scores["replicate"] == replicate)])
        columns = [name for name in one if ":" not in name or name in own]
        yield {"model": model, "replicate": replicate}, one[columns].reset_index(drop=True)


def each_network(scores: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield one row a scan of each network, indexed by ``scan``: what names it, and a column per score, in the table's order.

    Unlike :func:`each_model` it takes no manifest: scores may be made from scores before there is one table of them.

    Args:
        scores: With the columns ``COLUMNS``.
    """
    for _, own in scores.groupby(["model", "replicate"], sort=True):
        column = own["metric"] + ":" + own["aggregation"]
        wide = own.assign(column=column).pivot(index="scan", columns="column", values="value")
        yield own.drop_duplicates("scan").set_index("scan")[[*COLUMNS[:1], *COLUMNS[2:7]]].join(wide)


def score_columns(wide: pd.DataFrame) -> list[str]:
    """Return the columns that are scores, the paper's own first."""
    columns = [name for name in wide if ":" in name and name.split(":")[0] not in NOT_SCORES]
    return sorted(columns, key=lambda name: (name != OURS, name))


def left_out(n_known: int, n_all: int, why: str = "a value is missing") -> list[str]:
    """Return the note that a statistic stands on fewer scans than there are, as a list that is empty where it does not.

    Args:
        n_known, n_all: Scans that count, and all.
        why: The others do not.
    """
    return [f"{n_all - n_known} of {n_all} scans left out: {why}"] if n_known < n_all else []


def known_together(
    scans: pd.DataFrame, columns: list[str], scores: list[str]
) -> Iterator[tuple[pd.DataFrame, list[str]]]:
    """Yield (scans, scores) for each set of scores that are known on the same scans, so that they can share draws.

    Args:
        scans: One row a scan.
        columns: Of which no value may be missing.
        scores: Columns.
    """
    alike: dict[bytes, list[str]] = {}
    for score in scores:
        alike.setdefault(scans[[*columns, score]].notna().all(axis=1).to_numpy().tobytes(), []).append(score)
    for group in alike.values():
        yield scans.dropna(subset=[*columns, *group]), group


def counted(scans: pd.DataFrame) -> dict[str, int]:
    """Return on how many scans, subjects and anatomies a number rests, as every table states it.

    Args:
        scans: One row a scan.
    """
    return {
        "n_scans": len(scans),
        "n_subjects": scans["subject"].nunique(),
        "n_anatomies": scans["anatomy"].nunique(),
    }


def simulated(wide: pd.DataFrame) -> pd.Series:
    """Return which scans are in the simulated quality experiment: clean ones, and one of each artefact."""
    return wide["condition"].eq("clean") | wide["condition"].str.startswith("sim-")


def all_and_each_kind(scans: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield (name, scans): all of them, clean ones, then each artefact's by name.

    Args:
        scans: One row a scan, with ``artefact``.
    """
    if len(scans):
        yield "all", scans
    kinds = scans.groupby(scans["artefact"].replace(NO_ARTEFACT, "clean"), sort=True)
    yield from sorted(kinds, key=lambda kind: (kind[0] != "clean", kind[0]))


def is_stand_in(wide: pd.DataFrame) -> bool:
    """Say whether the scans of the real set are stand-ins, made by foreign simulators.

    Args:
        wide: One row a scan.
    """
    return f"rating:{STAND_IN}" in wide or f"rating:{RATED_STAND_IN}" in wide


def is_rated_stand_in(wide: pd.DataFrame) -> bool:
    """Say whether raters judged the segmentations of scans that are stand-ins.

    Args:
        wide: One row a scan.
    """
    return f"rating:{RATED_STAND_IN}" in wide
