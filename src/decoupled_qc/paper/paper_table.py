"""What the paper reports beside what this run finds: difference and verdict, number by number."""

import math

import pandas as pd

from decoupled_qc.analysis.scores import TARGET_OF
from decoupled_qc.paper import typeset
from decoupled_qc.paper.paper_plots import QUANTITIES, plot_rows
from decoupled_qc.paper.tables import PAPER, label, number

COLUMNS = [
    "set",
    "target",
    "score",
    "paper",
    "this_run",
    "ci_low",
    "ci_high",
    "difference",
    "n_scans",
    "n_subjects",
    "n_anatomies",
    "verdict",
]
TITLE = "The paper's numbers and this run's"
NOTES = (
    "difference: this run's number minus the paper's.",
    "agrees: the paper's number lies inside this run's 95 % subject-bootstrap interval; stronger or weaker: same sign, outside "
    "the interval, |rho| larger or smaller; opposite sign: outside the interval and of the other sign. The paper's own "
    "uncertainty is not published, and its cohort (ADNI) is another one.",
    "Figures 5 and 8: the paper prints no numbers; these are read off the same plots in its predecessor (Shaw et al. 2020, "
    "MIDL), to about two digits. larger or smaller: the paper's lies outside the interval. Bars: summed voxel variance above "
    "clean.",
)
STAND_IN_NOTE = "Stand-in: this run's real set holds no real artefacts and no ratings, so its rows are not comparable."


def paper_table(
    table_1: pd.DataFrame,
    table_2: pd.DataFrame,
    figure_5: pd.DataFrame,
    figure_8: pd.DataFrame,
    *,
    n_boot: int,
    seed: int,
    stand_in: bool,
) -> pd.DataFrame:
    """Return the paper's rho and what its figures 5 and 8 show beside this run's, with difference and verdict.

    Args:
        table_1, table_2: As :func:`decoupled_qc.paper.tables.correlation_table` returns them.
        figure_5, figure_8, n_boot, seed: As for :func:`decoupled_qc.paper.paper_plots.plot_rows`.
        stand_in: Whether the real set is a stand-in; its verdict is then that it cannot be compared.

    Returns:
        The columns ``COLUMNS``.
    """
    rows = []
    for table in (table_1, table_2):
        set_name = table["set"].iloc[0]
        own = table.set_index("score")
        for score, (paper, _) in PAPER[set_name].items():
            found = own.loc[score]
            verdict = _verdict(paper, found["rho"], found["ci_low"], found["ci_high"])
            rows.append(
                {
                    "set": set_name,
                    "target": TARGET_OF[set_name],
                    "score": score,
                    "paper": paper,
                    "this_run": found["rho"],
                    "ci_low": found["ci_low"],
                    "ci_high": found["ci_high"],
                    "difference": found["rho"] - paper,
                    "n_scans": found["n_scans"],
                    "n_subjects": found["n_subjects"],
                    "n_anatomies": found["n_anatomies"],
                    "verdict": "not comparable (stand-in)" if stand_in and set_name == "real" else verdict,
                }
            )
    rows += plot_rows(figure_5, figure_8, n_boot=n_boot, seed=seed, stand_in=stand_in)
    return pd.DataFrame(rows, columns=COLUMNS)


def as_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table's cells as text."""
    return pd.DataFrame(
        [
            {
                "score": _label(row),
                "paper": typeset.number(row.paper, 2) if row.target in QUANTITIES else number(row.paper),
                "this run": number(row.this_run),
                "95 % CI": typeset.interval(row.ci_low, row.ci_high, 3),
                "difference": number(row.difference),
                "scans": str(row.n_scans),
                "subjects": str(row.n_subjects),
                "anatomies": str(row.n_anatomies),
                "verdict": row.verdict,
            }
            for row in table.itertuples()
        ]
    )


def notes(stand_in: bool) -> list[str]:
    """Return the table's footnotes."""
    return [*NOTES, STAND_IN_NOTE] if stand_in else list(NOTES)


def _label(row: tuple) -> str:
    if row.target in QUANTITIES:
        return f"{row.set.capitalize().replace('_', ' ')}, {row.score.replace('_', ' ')}: {QUANTITIES[row.target]}"
    return f"{row.target.capitalize()}: {label(row.set, row.score)}"


def _verdict(paper: float, rho: float, low: float, high: float) -> str:
    if not (math.isfinite(rho) and math.isfinite(low)):
        return "no value" if not math.isfinite(rho) else "no interval to judge by"
    if low <= paper <= high:
        return "agrees"
    if paper * rho < 0:
        return "opposite sign"
    return "stronger" if abs(rho) > abs(paper) else "weaker"
