"""Correlate the scores of a table of your own with Dice or a rating, with intervals by bootstrap of whole subjects."""

import argparse
from pathlib import Path

import pandas as pd

from decoupled_qc.analysis import difference
from decoupled_qc.analysis.correlation import one_set
from decoupled_qc.analysis.scores import MISSING, numbers, refuse
from decoupled_qc.delimited import read_cells
from decoupled_qc.errors import InputError
from decoupled_qc.files import write_whole
from decoupled_qc.tables import p_value

MOST_DRAWS = 1_000_000  # all are held at once for the percentiles; more would change no digit that is shown
SHOWN_DIFFERENCE = ["baseline", "difference", "ci_low", "ci_high", "p", "p_holm", "n_scans", "n_subjects", "note"]
SHOWN = ["score", "rho", "ci_low", "ci_high", "p", "tau_b", "n_scans", "n_subjects", "note"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("table", type=Path, help="csv or tsv with a header and one row per scan")
    parser.add_argument("--target", default="dice", help="column with Dice or a rating (default: %(default)s)")
    parser.add_argument("--subject", default="subject", help="column that names the subject (default: %(default)s)")
    parser.add_argument("--scan", help="column that names the scan; then no scan may be listed twice")
    parser.add_argument(
        "--score", action="append", metavar="COLUMN", help="again for another; default: every column of numbers"
    )
    parser.add_argument(
        "--compare", metavar="COLUMN", help="a score whose correlation is compared with that of each of the others"
    )
    parser.add_argument(
        "--out", type=Path, help="csv to write, with all columns (and <out>_difference.csv); default: short tables"
    )
    parser.add_argument("--n-boot", type=int, default=5000, help="bootstrap draws (default: %(default)s)")
    parser.add_argument("--n-permutations", type=int, default=9999, help="behind each p (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of both (default: %(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Read a table, correlate, and print or write the result.

    Raises:
        InputError: The table cannot be used; nothing is then written.
    """
    for name, number in (("--n-boot", arguments.n_boot), ("--n-permutations", arguments.n_permutations)):
        if not 1 <= number <= MOST_DRAWS:
            raise InputError(f"{name} is {number}: give from 1 to {MOST_DRAWS} draws.")
    scans, scores = read_table(arguments.table, arguments.target, arguments.subject, arguments.scan, arguments.score)
    if arguments.compare and arguments.compare not in scores:
        raise InputError(f"--compare names '{arguments.compare}', which is no score: name one of {', '.join(scores)}.")
    draws = {"n_boot": arguments.n_boot, "seed": arguments.seed}
    columns = [f"{score}:own" for score in scores]
    found = one_set(scans, "target:own", columns, n_permutations=arguments.n_permutations, **draws)
    found = found.drop(columns=["aggregation", "n_anatomies"]).assign(target=arguments.target)
    _show_or_write(found, SHOWN, arguments.out)
    if arguments.compare:
        ours = f"{arguments.compare}:own"
        baselines = [column for column in columns if column != ours]
        found = difference.one_set(scans, "target:own", ours, baselines, set_name="own", **draws)
        found = found.drop(columns=["aggregation", "baseline_aggregation"]).assign(target=arguments.target)
        if arguments.out:
            _show_or_write(found, SHOWN_DIFFERENCE, arguments.out.with_name(f"{arguments.out.stem}_difference.csv"))
        else:
            print(f"\n|rho| of {arguments.compare} less that of each other score:")
            _show_or_write(found, SHOWN_DIFFERENCE, None)


def _show_or_write(found: pd.DataFrame, shown: list[str], out: Path | None) -> None:
    """Write a table whole, or print the columns that matter most."""
    if out:
        with write_whole(out) as file:
            found.to_csv(file, index=False)
    else:
        p = {name: found[name].map(p_value) for name in ("p", "p_holm") if name in found}
        print(found[shown].round(3).assign(**p).to_string(index=False, na_rep="NA"))


def read_table(
    path: Path, target: str, subject: str, scan: str | None, scores: list[str] | None
) -> tuple[pd.DataFrame, list[str]]:
    """Read a table of scores, one row a scan; a cell may be empty or NA, all others must be finite numbers.

    Args:
        path: Comma-separated, or tab-separated if it ends in .tsv.
        target, subject, scan: Names of columns; ``scan`` may be None.
        scores: Names of columns; None for all others in which most cells that are not missing are numbers; a
            column of text is no score, a bad cell in a column of numbers is an error.

    Returns:
        ``subject``, ``anatomy`` (the subject again), ``target:own`` and ``<score>:own``; and the scores' names.

    Raises:
        InputError: It cannot be read, lacks a column, or has a cell that cannot be used; row 2 is the first below the
            header.
    """
    table = read_cells(path, "\t" if path.suffix == ".tsv" else ",")
    for column in (target, subject, *([scan] if scan else []), *(scores or [])):
        if column not in table:
            ranked = ": a run's scores are ranked in its analysis/correlation.csv" if "metric" in table else ""
            raise InputError(f"{path} has no column '{column}': it has {', '.join(table.columns)}{ranked}.")
    if table.empty:
        raise InputError(f"{path} has a header but no row: give it one row per scan.")
    for column in (subject, *([scan] if scan else [])):
        refuse(path, table[column].str.strip() == "", f"column '{column}' is empty: fill it in")
    if scan:
        refuse(path, table.duplicated(scan), f"column '{scan}' names a scan that an earlier row has: keep one")
    if scores is None:
        others = [column for column in table if column not in (target, subject, scan)]
        scores = [column for column in others if _holds_numbers(table[column])]
        if not scores:
            raise InputError(f"{path} has no column of numbers beside '{target}': name the scores with --score.")
    columns = {"subject": table[subject], "anatomy": table[subject], "target:own": numbers(path, table[target])}
    columns |= {f"{score}:own": numbers(path, table[score]) for score in scores}
    return pd.DataFrame(columns), scores


def _holds_numbers(cells: pd.Series) -> bool:
    present = cells[~cells.str.strip().str.lower().isin(MISSING)]
    return len(present) > 0 and pd.to_numeric(present, errors="coerce").notna().mean() > 0.5
