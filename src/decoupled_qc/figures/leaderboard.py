"""Leaderboard: every score's correlation with quality on the same scans."""

import numpy as np
import pandas as pd
from matplotlib.ticker import MultipleLocator

from decoupled_qc.figures import style
from decoupled_qc.figures.style import Drawing

SETS = (("simulated", "dice", "simulated, Dice"), ("real", "rating", "real, rating"))
COLUMNS = ["set", "target", "score", "aggregation", "rho", "ci_low", "ci_high", "strength", "low", "high"]
COLUMNS += ["n_scans", "n_subjects", "n_anatomies"]
OURS = ("artefact_uncertainty", "mean")


def leaderboard(correlation: pd.DataFrame, *, stand_in: bool) -> Drawing:
    """Draw each score's |rho| with its interval, strongest first, for Dice and for the rating.

    Args:
        correlation: As :func:`decoupled_qc.analysis.correlation.correlate` returns it.
        stand_in: Whether the real set is a stand-in.
    """
    rows = pd.concat([_ranked(correlation, set_name, target) for set_name, target, _ in SETS])
    height = 24 + 4.2 * rows["set"].value_counts().max() if len(rows) else 40
    figure = style.new_figure(style.TWO_COLUMNS_MM, height)
    panels = figure.subplots(1, len(SETS), sharex=True)
    for axes, (set_name, _, title) in zip(panels, SETS, strict=True):
        shown = rows[rows["set"] == set_name]
        if stand_in and set_name == "real":
            title = "rating\n" + style.STAND_IN_TEXT.replace(", ", ",\n")
        places = np.arange(len(shown))[::-1]
        ours = (shown["score"] == OURS[0]) & (shown["aggregation"] == OURS[1])
        for place, row, own in zip(places, shown.itertuples(), ours, strict=True):
            colour = style.COLOURS[0] if own else style.CLEAN_COLOUR
            axes.plot([row.low, row.high], [place, place], color=colour, linewidth=1.2 if own else 0.8)
            axes.plot(row.strength, place, "o", color=colour, markersize=3.5)
        axes.set_yticks(places, [_label(row) for row in shown.itertuples()])
        axes.axvline(0, color="black", linewidth=0.5)
        counts = style.counts_text(shown.iloc[0], ", ") if len(shown) else "no scans"
        axes.set_title(f"{title}\n{counts}", fontsize=style.SMALL_PT)
        axes.set_xlabel("|\N{GREEK SMALL LETTER RHO}|, 95 % subject-bootstrap interval")
    panels[0].xaxis.set_major_locator(MultipleLocator(0.5))
    panels[0].set_xlim(right=1.1)  # room for the last number under the axis; both panels share it
    caption = (
        "All scores on the same scans, strongest first; blue is the paper's score (eq. 9). An interval that reaches "
        "below 0 leaves the sign open."
    )
    for row in rows[(rows["set"] == "simulated") & (rows["rank"] == 1)].itertuples():
        strength = style.number(row.strength)
        caption += f" On simulated scans the strongest is {_label(row)}, |\N{GREEK SMALL LETTER RHO}| = {strength}."
    return Drawing(figure, rows, caption)


def _ranked(correlation: pd.DataFrame, set_name: str, target: str) -> pd.DataFrame:
    """Return one set's scores by |rho|, with the interval turned to the side of |rho|."""
    members = correlation[(correlation["set"] == set_name) & (correlation["target"] == target)]
    members = members[members["rho"].notna()]
    sign = np.where(members["rho"] < 0, -1.0, 1.0)
    ends = np.sort(members[["ci_low", "ci_high"]].to_numpy() * sign[:, None], axis=1)
    members = members.assign(strength=members["rho"].abs(), low=ends[:, 0], high=ends[:, 1])
    ranked = members.sort_values(["strength", "score"], ascending=[False, True])[COLUMNS]
    ranked.insert(1, "rank", np.arange(1, len(ranked) + 1))
    return ranked


def _label(row: tuple) -> str:
    """Return a score's name with its aggregation."""
    if row.score.startswith("variance_"):
        name = f"{row.score.removeprefix('variance_')} variance"
    else:
        name = style.LABELS.get(row.score, row.score).replace("_", " ")
    return f"{name} ({row.aggregation.replace('_', ' ')})"
