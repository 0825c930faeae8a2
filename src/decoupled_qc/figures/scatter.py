"""One panel of a figure that sets quality against a score."""

import math
import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from decoupled_qc.figures import style

NOTE_WIDTH = 42  # characters that fit above a panel
LOG_FROM = 10.0  # a score that spans more than this ratio is drawn on a logarithmic axis


def draw(
    axes: Axes, rows: pd.DataFrame, score: str, target: str, colours: dict[str, str], markers: dict[str, str]
) -> None:
    """Draw one point per scan, coloured by artefact; clean scans below the others.

    Args:
        axes: To draw on.
        rows: A row a scan, with ``artefact`` and the two columns.
        score: Column on the horizontal axis.
        target: Column on the vertical axis.
        colours, markers: By artefact.
    """
    for artefact, scans in rows.groupby("artefact", sort=False):
        axes.scatter(
            scans[score],
            scans[target],
            s=11,
            color=colours[artefact],
            marker=markers[artefact],
            alpha=0.8,
            linewidths=0.3,
            edgecolors="white",
            label=style.artefact_label(artefact),
        )
    values = rows[score].dropna()
    if len(values) and values.min() > 0 and values.max() / values.min() > LOG_FROM:
        axes.set_xscale("log")


def state(axes: Axes, correlation: pd.Series | None) -> None:
    """Write rho, its interval and what it stands on above a panel.

    Args:
        axes: The panel.
        correlation: Row of the correlation table, or None when there is none.
    """
    if correlation is None or not math.isfinite(correlation["rho"]):
        reason = "no such score" if correlation is None else correlation["note"]
        text = "\n".join(["\N{GREEK SMALL LETTER RHO} = NA", *textwrap.wrap(reason, NOTE_WIDTH)])
    else:
        text = f"{style.rho_text(correlation)}\n{style.counts_text(correlation, ', ')}"
    axes.set_title(text, fontsize=style.SMALL_PT, linespacing=1.3)


def find(correlation: pd.DataFrame, set_name: str, target: str, score: str, aggregation: str) -> pd.Series | None:
    """Return a correlation's row, or None.

    Args:
        correlation: The correlation table.
        set_name, target, score, aggregation: Which.
    """
    wanted = {"set": set_name, "target": target, "score": score, "aggregation": aggregation}
    found = correlation[np.logical_and.reduce([correlation[column] == value for column, value in wanted.items()])]
    return None if found.empty else found.iloc[0]
