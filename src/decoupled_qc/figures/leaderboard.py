"""Leaderboard: every score's correlation with quality on the same scans."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator

from decoupled_qc.analysis.meaning import needs_reference, strength
from decoupled_qc.analysis.scores import OURS, TARGET_OF
from decoupled_qc.figures import style
from decoupled_qc.figures.style import Drawing
from decoupled_qc.paper import typeset

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
    names = [typeset.score_label(row.score, row.aggregation) for row in rows.itertuples()]
    rows = rows.assign(name=names)
    places = {name: -index for index, name in enumerate(rows["name"].unique())}  # strongest for Dice on top
    figure = style.new_figure(style.TWO_COLUMNS_MM, min(32 + ROW_MM * len(places), MOST_MM))
    panels = figure.subplots(1, len(TARGET_OF), sharex=True, sharey=True)
    panels[0].set_yticks(list(places.values()), list(places))
    for index, (axes, (set_name, title)) in enumerate(zip(panels, TITLES.items(), strict=True)):
        shown = rows[rows["set"] == set_name]
        _draw_panel(axes, shown, shown["name"].map(places))
        style.letter(axes, index)
        if stand_in and set_name == "real":
            title = "stand-in scans, rating"
        counts = style.counts_text(shown.loc[shown["n_scans"].idxmax()]) if len(shown) else "no scans"
        axes.set_title(f"{title}\n{counts}", fontsize=style.SMALL_PT)
    panels[0].xaxis.set_major_locator(MultipleLocator(0.5))
    panels[0].set_xlim(right=1.0)
    handles = [
        Line2D([], [], color=OTHER_COLOUR, marker=marker, fillstyle=fill, markersize=3.5, linestyle="", label=kind)
        for kind, (marker, fill) in MARKS.items()
    ]
    handles.append(
        Line2D([], [], color=OWN_COLOUR, marker="o", markersize=3.5, linewidth=1.6, label="the paper's score (eq. 9)")
    )
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    if stand_in:
        style.mark_stand_in(figure, "(b) ")
    caption = (
        "All scores, in the order of (a) and with their places at the right, each on the scans that have it, whose number stands "
        "there where it is not all; black "
        "is the paper's score (eq. 9). Hollow: uses masks of the reference, which a new scan does not have. "
        "\N{GREEK SMALL LETTER RHO} is turned to the direction of the score's meaning; cross, below 0: it has the opposite sign. "
        "An interval (95 %, bootstrap of subjects) across 0 leaves that open."
    )
    for row in rows[(rows["set"] == "simulated") & (rows["rank"] == 1)].itertuples():
        caption += (
            f" On simulated scans the strongest is {typeset.score_label(row.score, row.aggregation)}, "
            f"\N{GREEK SMALL LETTER RHO} = {style.number(row.rho)}."
        )
    if stand_in:
        caption += " The scans of (b) are stand-ins (artefacts by foreign simulators, not real scans)."
    return Drawing(figure, rows, caption)


def _draw_panel(axes: Axes, shown: pd.DataFrame, places: pd.Series) -> None:
    """Draw one set's scores, each at its place, and how strong it is among them at the right."""
    most = shown["n_scans"].max()
    for place, row in zip(places, shown.itertuples(), strict=True):
        own = f"{row.score}:{row.aggregation}" == OURS
        colour = OWN_COLOUR if own else OTHER_COLOUR
        marker, fill = MARKS[row.kind]
        axes.plot([row.low, row.high], [place, place], color=colour, linewidth=1.6 if own else 0.8, zorder=1)
        look = {"markersize": 3.5, "markerfacecolor": colour if fill == "full" else "white"}
        axes.plot(row.strength, place, marker, color=colour, **look)
        fewer = f" (n = {row.n_scans})" if row.n_scans < most else ""
        at_the_right = {"xy": (1, place), "xycoords": axes.get_yaxis_transform(), "xytext": (3, 0)}
        axes.annotate(
            f"{row.rank}{fewer}", **at_the_right, textcoords="offset points", va="center", fontsize=style.SMALL_PT
        )
    axes.margins(y=0.02)
    axes.axvline(0, color="black", linewidth=0.5)
    axes.set_xlabel(
        "\N{GREEK SMALL LETTER RHO} with quality, above 0 as it should be\n(95 % interval; at the right its place)"
    )


def _shown(board: pd.DataFrame, set_name: str, target: str) -> pd.DataFrame:
    """Return one set's scores, the interval turned as rho is, and the kind of each."""
    members = board[(board["set"] == set_name) & (board["target"] == target) & board["rho"].notna()]
    turned = [strength(members.assign(rho=members[end])) for end in ("ci_low", "ci_high")]
    members = members.assign(strength=strength(members), low=np.minimum(*turned), high=np.maximum(*turned))
    referred = np.array([needs_reference(row.score, row.aggregation) for row in members.itertuples()], bool)
    members["kind"] = np.select([members["strength"] < 0, referred], [OPPOSITE, REFERENCE], FREE)
    return members[COLUMNS].astype({"rank": int})
