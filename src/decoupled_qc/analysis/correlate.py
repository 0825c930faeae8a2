"""Correlate the scores of a table of your own with Dice or a rating, with intervals by bootstrap of whole subjects."""

import argparse
from pathlib import Path

import pandas as pd

from decoupled_qc.analysis import correlation, difference, risk_coverage
from decoupled_qc.analysis.meaning import direction, higher_is_better
from decoupled_qc.analysis.scores import SPELT_MISSING, numbers, refuse
from decoupled_qc.delimited import read_cells
from decoupled_qc.errors import InputError
from decoupled_qc.files import write_whole
from decoupled_qc.paper.tables import p_value

MOST_DRAWS = 1_000_000  # all are held at once for the percentiles; more would change no digit that is shown
SHOWN_DIFFERENCE = ["baseline", "difference", "ci_low", "ci_high", "p", "p_holm", "n_scans", "n_subjects", "note"]
SHOWN = ["set", "score", "rho", "ci_low", "ci_high", "p", "tau_b", "n_scans", "n_subjects", "note"]
SHOWN_FAILURE = [
    "cut",
    "score",
    "measure",
    "value",
    "ci_low",
    "ci_high",
    "oracle",
    "random",
    "n_scans",
    "n_failed",
    "n_subjects",
    "note",
]
ALL = "all"
SCAN = "scan"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("table", type=Path, help="csv or tsv with a header and one row per scan")
    parser.add_argument("--target", default="dice", help="column with Dice or a rating (default: %(default)s)")
    parser.add_argument("--subject", default="subject", help="column that names the subject (default: %(default)s)")
    parser.add_argument(
        "--scan",
        help=f"column that names the scan, none twice (default: '{SCAN}' if there is one, none twice in a subject; without "
        "either no row may be the same as another)",
    )
    parser.add_argument(
        "--score", action="append", metavar="COLUMN", help="again for another; default: every column of numbers"
    )
    parser.add_argument(
        "--compare", metavar="COLUMN", help="a score whose correlation is compared with that of each of the others"
    )
    parser.add_argument(
        "--group",
        metavar="COLUMN",
        help="kind of a scan, such as artefact or site: rho also in each, within and given it",
    )
    failed = parser.add_mutually_exclusive_group()
    failed.add_argument(
        "--failed-below",
        type=float,
        action="append",
        metavar="NUMBER",
        help="of the target: how well is failure found? Again for another",
    )
    failed.add_argument(
        "--failed-from",
        type=float,
        action="append",
        metavar="NUMBER",
        help="the same for a target that rises to the worse",
    )
    parser.add_argument(
        "--higher-is-better",
        action="append",
        default=[],
        metavar="COLUMN",
        help=f"a score that falls as scans get worse, for the failures; known without it: {', '.join(higher_is_better())}",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="csv to write, with all columns (and <out>_difference.csv, <out>_failure.csv); default: short tables",
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
    scans, scores = read_table(
        arguments.table, arguments.target, arguments.subject, arguments.scan, arguments.score, arguments.group
    )
    for option, names in (("--compare", [arguments.compare]), ("--higher-is-better", arguments.higher_is_better)):
        for name in names:
            if name and name not in scores:
                raise InputError(f"{option} names '{name}', which is no score: name one of {', '.join(scores)}.")
    draws = {"n_boot": arguments.n_boot, "seed": arguments.seed}
    found = _correlations(scans, scores, arguments.group, arguments.n_permutations, draws)
    _show_or_write(found.assign(target=arguments.target), SHOWN, arguments.out)
    if arguments.compare:
        found = _differences(scans, scores, arguments.compare, draws).assign(target=arguments.target)
        title = f"|rho| of {arguments.compare} less that of each other score:"
        _show_or_write(found, SHOWN_DIFFERENCE, _beside(arguments.out, "difference"), title)
    cuts = arguments.failed_below or arguments.failed_from
    if cuts:
        failure = risk_coverage.Failure("target:own", list(dict.fromkeys(cuts)), bool(arguments.failed_from))
        found = _failures(scans, scores, failure, arguments.higher_is_better, draws).assign(target=arguments.target)
        which = " or ".join(f"{cut:g}" for cut in failure.cuts)
        title = f"Finding scans with {arguments.target} {'from' if arguments.failed_from else 'below'} {which}:"
        _show_or_write(found, SHOWN_FAILURE, _beside(arguments.out, "failure"), title)


def _correlations(
    scans: pd.DataFrame, scores: list[str], group: str | None, n_permutations: int, draws: dict
) -> pd.DataFrame:
    """Return rho of every score over all scans, and with a group in each kind, within kinds and given the kind."""
    columns = [f"{score}:own" for score in scores]
    sets = {ALL: scans}
    if group:
        sets |= {f"{group}={kind}": members for kind, members in scans.groupby(group)}
    parts = [
        correlation.one_set(members, "target:own", columns, n_permutations=n_permutations, **draws).assign(set=name)
        for name, members in sets.items()
    ]
    if group:
        beside = pd.DataFrame(correlation.beside_kind(scans, "target:own", columns, kind=group, **draws))
        parts.append(beside.assign(set=beside["set"].str.replace("_", " ") + f" {group}").dropna(axis=1, how="all"))
    found = pd.concat(parts, ignore_index=True).drop(columns=["aggregation", "n_anatomies"])
    return found[["set", *found.columns.drop("set")]]


def _differences(scans: pd.DataFrame, scores: list[str], compared: str, draws: dict) -> pd.DataFrame:
    """Return |rho| of one score less that of every other."""
    baselines = [f"{score}:own" for score in scores if score != compared]
    comparison = {"set_name": "own", "directed": False}  # which way a score of one's own should go is not known
    found = difference.one_set(scans, "target:own", f"{compared}:own", baselines, **comparison, **draws)
    return found.drop(columns=["aggregation", "baseline_aggregation", "difference_abs_rho"])


def _failures(
    scans: pd.DataFrame, scores: list[str], failure: risk_coverage.Failure, better: list[str], draws: dict
) -> pd.DataFrame:
    """Return how well every score finds failed scans; one that is named as better when higher is turned first."""
    turned = {f"{name}:own": -scans[f"{name}:own"] for name in better if direction(name) < 0}
    columns = [f"{score}:own" for score in scores]
    found = risk_coverage.one_set(scans.assign(**turned), failure, columns, **draws)
    unused = ["aggregation", "n_anatomies", "threshold", "n_validation_subjects"]
    return found.drop(columns=unused).rename(columns={"dice_cut": "cut"})


def _beside(out: Path | None, name: str) -> Path | None:
    """Return where a further table goes, if any is written."""
    return out and out.with_name(f"{out.stem}_{name}.csv")


def _show_or_write(found: pd.DataFrame, shown: list[str], out: Path | None, title: str = "") -> None:
    """Write a table whole, or print the columns that matter most under a title."""
    if out:
        with write_whole(out) as file:
            found.to_csv(file, index=False)
    else:
        print(f"\n{title}" if title else "", end="\n" if title else "")
        shown = [name for name in shown if name not in ("set", "cut") or found[name].nunique() > 1]
        p = {name: found[name].map(p_value) for name in ("p", "p_holm") if name in found}
        print(found[shown].round(3).assign(**p).to_string(index=False, na_rep="NA"))


def read_table(
    path: Path, target: str, subject: str, scan: str | None, scores: list[str] | None, group: str | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """Read a table of scores, one row a scan; a cell may be empty or NA, all others must be finite numbers.

    Args:
        path: Comma-separated, or tab-separated if it ends in .tsv.
        target, subject, scan, group: Names of columns; ``scan`` and ``group`` may be None. Without ``scan`` the column
            :data:`SCAN`, if there is one, names the scans of each subject.
        scores: Names of columns; None for all others in which most cells that are not missing are numbers; a
            column of text is no score, a bad cell in a column of numbers is an error.

    Returns:
        ``subject``, ``anatomy`` (the subject again), ``target:own``, ``<score>:own`` and the group under its own name; and the
        scores' names.

    Raises:
        InputError: It cannot be read, lacks a column, or has a cell that cannot be used; row 2 is the first below the
            header.
    """
    table = read_cells(path, "\t" if path.suffix == ".tsv" else ",")
    for column in (target, subject, *(name for name in (scan, group) if name), *(scores or [])):
        if column not in table:
            ranked = ": a run's scores are ranked in its analysis/correlation.csv" if "metric" in table else ""
            raise InputError(f"{path} has no column '{column}': it has {', '.join(table.columns)}{ranked}.")
    if table.empty:
        raise InputError(f"{path} has a header but no row: give it one row per scan.")
    of_subject = [] if scan else [subject]  # a column by the usual name may count the scans of each subject
    scan = scan or (SCAN if SCAN in table and SCAN not in (target, subject, group, *(scores or [])) else None)
    for column in (subject, *(name for name in (scan, group) if name)):
        refuse(path, table[column].str.strip() == "", f"column '{column}' is empty: fill it in")
    if scan:
        twice = table.duplicated([*of_subject, scan])
        refuse(path, twice, f"column '{scan}' names a scan that an earlier row has: keep one")
    else:
        same = f"is the same as an earlier row in every column: keep one, or tell the scans apart in a column '{SCAN}'"
        refuse(path, table.duplicated(), same)
    if scores is None:
        others = [column for column in table if column not in (target, subject, scan, group)]
        scores = [column for column in others if _holds_numbers(table[column])]
        if not scores:
            raise InputError(f"{path} has no column of numbers beside '{target}': name the scores with --score.")
    for name in scores:
        if ":" in name:
            raise InputError(f"{path}, column '{name}': a score's name cannot hold a colon, so rename the column.")
    columns = {"subject": table[subject], "anatomy": table[subject], "target:own": numbers(path, table[target])}
    columns |= {f"{score}:own": numbers(path, table[score]) for score in scores}
    if group:
        columns[group] = table[group]
    return pd.DataFrame(columns), scores


def _holds_numbers(cells: pd.Series) -> bool:
    present = cells[~cells.str.strip().str.lower().isin(SPELT_MISSING)]
    return len(present) > 0 and pd.to_numeric(present, errors="coerce").notna().mean() > 0.5
