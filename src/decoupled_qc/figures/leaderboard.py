"""Leaderboard: every score's correlation with quality on the same scans."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator

from decoupled_qc.analysis.scores import OURS, TARGET_OF, needs_reference, strength
from decoupled_qc.figures import style
from decoupled_qc.figures.style import Drawing

TITLES = {"simulated": "simulated, Dice", "real": "real, rating"}
COLUMNS = [
    "set",
    "rank",
    "target",
    "score",
    "aggregation",
    "rho",
    "ci_low",
    "ci_high",
    "strength",
    "low",
    "high",
    "kind",
]
COLUMNS += ["n_scans", "n_subjects", "n_anatomies"]
ROW_MM, MOST_MM = 4.2, 220.0
OWN_COLOUR, OTHER_COLOUR = style.TONES[0], style.TONES[2]
FREE, REFERENCE, OPPOSITE = "needs no reference", "uses reference masks", "sign opposite to its meaning"
MARKS = {FREE: ("o", "full"), REFERENCE: ("o", "none"), OPPOSITE: ("x", "full")}  # (marker, how it is filled)


def leaderboard(board: pd.DataFrame, *, stand_in: bool) -> Drawing:
    """Draw each score's rho in the direction of its meaning, with its interval and strongest first, for Dice and the rating.

    Args:
        board: As :func:`decoupled_qc.analysis.leaderboard.leaderboard` returns it, of one network.
        stand_in: Whether the real set is a stand-in.
    """
    rows = pd.concat([_shown(board, set_name, target) for set_name, target in TARGET_OF.items()], ignore_index=True)
    height = min(30 + ROW_MM * rows["set"].value_counts().max(), MOST_MM) if len(rows) else 40
    figure = style.new_figure(style.TWO_COLUMNS_MM, height)
    panels = figure.subplots(1, len(TARGET_OF), sharex=True)
    for axes, (set_name, title) in zip(panels, TITLES.items(), strict=True):
        shown = rows[rows["set"] == set_name]
        _draw_panel(axes, shown)
        if stand_in and set_name == "real":
            title = "stand-in scans, rating"
        counts = style.counts_text(shown.loc[shown["n_scans"].idxmax()], ", ") if len(shown) else "no scans"
        axes.set_title(f"{title}\n{counts}", fontsize=style.SMALL_PT)
    panels[0].xaxis.set_major_locator(MultipleLocator(0.5))
    panels[0].set_xlim(right=1.1)  # room for the last number under the axis; both panels share it
    handles = [
        Line2D([], [], color=OTHER_COLOUR, marker=marker, fillstyle=fill, markersize=3.5, linestyle="", label=kind)
        for kind, (marker, fill) in MARKS.items()
    ]
    handles.append(
        Line2D([], [], color=OWN_COLOUR, marker="o", markersize=3.5, linewidth=1.6, label="the paper's score (eq. 9)")
    )
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    if stand_in:
        style.mark_stand_in(figure, "right panel, ")
    caption = (
        "All scores, strongest first, each on the scans that have it, whose number stands beside it where it is not all; black "
        "is the paper's score (eq. 9). Hollow: uses masks of the reference, which a new scan does not have. "
        "\N{GREEK SMALL LETTER RHO} is turned to the direction of the score's meaning; cross, below 0: it has the opposite sign. "
        "An interval (95 %, bootstrap of subjects) across 0 leaves that open."
    )
    for row in rows[(rows["set"] == "simulated") & (rows["rank"] == 1)].itertuples():
        caption += (
            f" On simulated scans the strongest is {style.score_label(row.score, row.aggregation)}, "
            f"\N{GREEK SMALL LETTER RHO} = {style.number(row.rho)}."
        )
    if stand_in:
        caption += " The right panel's scans are stand-ins (artefacts by foreign simulators, not real scans)."
    return Drawing(figure, rows, caption)


def _draw_panel(axes: Axes, shown: pd.DataFrame) -> None:
    """Draw one set's scores from top to bottom."""
    places = np.arange(len(shown))[::-1]
    for place, row in zip(places, shown.itertuples(), strict=True):
        own = f"{row.score}:{row.aggregation}" == OURS
        colour = OWN_COLOUR if own else OTHER_COLOUR
        marker, fill = MARKS[row.kind]
        axes.plot([row.low, row.high], [place, place], color=colour, linewidth=1.6 if own else 0.8, zorder=1)
        look = {"markersize": 3.5, "markerfacecolor": colour if fill == "full" else "white"}
        axes.plot(row.strength, place, marker, color=colour, **look)
    most = shown["n_scans"].max()
    fewer = [f", {row.n_scans} scans" if row.n_scans < most else "" for row in shown.itertuples()]
    names = [style.score_label(row.score, row.aggregation) for row in shown.itertuples()]
    axes.set_yticks(places, [name + of for name, of in zip(names, fewer, strict=True)])
    axes.margins(y=0.02)
    axes.axvline(0, color="black", linewidth=0.5)
    axes.set_xlabel("\N{GREEK SMALL LETTER RHO}, above 0 as it should be\n(95 % interval)")


def _shown(board: pd.DataFrame, set_name: str, target: str) -> pd.DataFrame:
    """Return one set's scores, the interval turned as rho is, and the kind of each."""
    members = board[(board["set"] == set_name) & (board["target"] == target) & board["rho"].notna()]
    turned = [strength(members.assign(rho=members[end])) for end in ("ci_low", "ci_high")]
    members = members.assign(strength=strength(members), low=np.minimum(*turned), high=np.maximum(*turned))
    referred = np.array([needs_reference(row.score, row.aggregation) for row in members.itertuples()], bool)
    members["kind"] = np.select([members["strength"] < 0, referred], [OPPOSITE, REFERENCE], FREE)
    return members[COLUMNS]
