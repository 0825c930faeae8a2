"""Figures 7 and 10: quality against the paper's three scores, a panel each."""

import math
import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from decoupled_qc.analysis.scores import OURS
from decoupled_qc.figures import style
from decoupled_qc.paper import typeset

NOTE_WIDTH = 42  # characters that fit above a panel
MOST_LEGEND_COLUMNS = 6
MOST_TICK_GAPS = 4  # along a panel's axis: between more, numbers of six characters would touch


def draw_panels(
    scans: pd.DataFrame,
    height: str,
    panels: Sequence[tuple[str, str]],
    correlation: pd.DataFrame,
    cell: tuple[str, str],
    colours: dict[str, str],
    markers: dict[str, str],
    *,
    height_mm: float,
) -> tuple[Figure, np.ndarray, str]:
    """Draw a panel per score, with rho above it and one legend below all.

    Args:
        scans: A row a scan, in the order of the legend.
        height: Column on the vertical axis.
        panels: Score and aggregation of each panel.
        correlation: The correlation table.
        cell: Its set and target.
        colours, markers: By artefact.
        height_mm: Of the figure.

    Returns:
        The figure, its panels, and every rho as a caption states it.
    """
    figure = style.new_figure(style.TWO_COLUMNS_MM, height_mm)
    grid, stated = figure.subplots(1, len(panels), sharey=True), []
    for index, (axes, (score, aggregation)) in enumerate(zip(grid, panels, strict=True)):
        axes.set_xlabel(typeset.score_label(score, aggregation))
        axes.locator_params(axis="x", nbins=MOST_TICK_GAPS)
        draw(axes, scans, f"{score}:{aggregation}", height, colours, markers)
        found = find(correlation, *cell, score, aggregation)
        state(axes, found)
        style.letter(axes, index)
        stated.append(f"{typeset.title_of(score)}: {style.rho_text(found)}" if found is not None else "")
    handles, labels = grid[0].get_legend_handles_labels()
    n_lines = -(-len(labels) // MOST_LEGEND_COLUMNS)
    figure.legend(handles, labels, loc="outside lower center", ncols=max(1, -(-len(labels) // max(1, n_lines))))
    return figure, grid, "; ".join(text for text in stated if text)


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
    hollow = style.hollow(rows["artefact"].unique())
    for artefact, scans in rows.groupby("artefact", sort=False):
        colour = colours[artefact]
        looks = (
            {"color": colour, "linewidths": 0.3, "edgecolors": "white"},
            {"facecolors": "none", "linewidths": 0.7, "edgecolors": colour},
        )
        axes.scatter(
            scans[score],
            scans[target],
            s=11,
            marker=markers[artefact],
            alpha=0.8,
            **looks[artefact in hollow],
            label=style.artefact_label(artefact),
        )
    if score == OURS:
        style.log_scale(axes, "x", rows[score])


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
        text = f"{style.rho_text(correlation)}\n{style.counts_text(correlation)}"
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
