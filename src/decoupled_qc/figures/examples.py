"""Scans side by side: image, segmentation, summed artefact variance on one scale; the layout of figures 1, 6 and 9."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from decoupled_qc.analysis.scores import OURS
from decoupled_qc.figures import style
from decoupled_qc.figures.images import (
    colour_bar,
    explain_segmentation,
    image_grid,
    read_slices,
    show_scan,
    show_segmentation,
    show_variance,
    top_of,
)
from decoupled_qc.scan_table import read_conditions

EXPLAINED = (  # in captions
    "Colours rise with its root, the standard deviation. Above each map: its mean over the scan, the artefact uncertainty. "
    "Dashed: edge of the part of the scan that an artefact covers, where it does not cover all of it. Axial slices, left is left."
)
ROWS = ("scan", "segmentation", "artefact variance")


def dice_titles(scans: pd.DataFrame) -> list[tuple[str, str]]:
    """Return what stands above each scan, artefact and severity, and above its segmentation, Dice."""
    found = []
    for _, scan in scans.iterrows():
        severity = f"{scan['severity']:.2f}" if scan["severity"] >= 0.005 else "< 0.01"
        artefact = style.artefact_label(scan["artefact"])
        found.append((f"{artefact}, {severity}" if scan["severity"] > 0 else artefact, f"Dice {scan['dice:gm']:.2f}"))
    return found


def draw_examples(
    chosen: pd.DataFrame,
    titles: Sequence[tuple[str, str]],
    target: str,
    conditions: Sequence[Path],
    predictions: Sequence[Path],
    artefacts: Sequence[str],
) -> tuple[Figure, pd.DataFrame]:
    """Draw scans as columns.

    Args:
        chosen: Rows of the wide score table, in the order to draw.
        titles: Of each scan's image and of its segmentation; above the variance stands its mean over
            the scan, the artefact uncertainty.
        target: Column of what the scans are judged by, ``dice:gm`` or a rating.
        conditions: Folders with the scans, ``clean`` among them.
        predictions: Folders of their maps.
        artefacts: Whose variances are summed.

    Returns:
        The figure; and its rows: the scan, its ``dice`` or ``rating``, ``artefact_uncertainty``, ``axial_slice``, and
        ``scale_top``, the upper end of the scale of variance.
    """
    slices = read_slices(read_conditions(conditions), list(chosen["scan"]), predictions, artefacts)
    sums = [np.sum(list(found.variance.values()), axis=0) for found in slices]
    top = top_of(sums)
    figure, grid, bars = image_grid(len(ROWS), len(slices), slices[0].image.shape, colour_bars=True)
    for column, (found, total, title) in enumerate(zip(slices, sums, titles, strict=True)):
        show_scan(grid[0, column], found)
        show_segmentation(grid[1, column], found)
        drawn = show_variance(grid[2, column], total, top)
        for row, text in enumerate((*title, f"mean {chosen[OURS].iloc[column]:.3f}")):
            grid[row, column].set_title(text, fontsize=style.SMALL_PT)  # ten columns of a page's width must not touch
    for axes, name in zip(grid[:, 0], ROWS, strict=True):
        axes.set_ylabel(name)
    figure.align_ylabels(grid[:, 0])
    colour_bar(figure, bars[-1], drawn, "variance, one scale")
    explain_segmentation(figure)
    judged = target.partition(":")[0]
    rows = chosen.rename(columns={OURS: "artefact_uncertainty", target: judged})
    rows = rows[["scan", "subject", "anatomy", "artefact", "severity", judged, "artefact_uncertainty"]]
    return figure, rows.assign(axial_slice=[found.slice_index for found in slices], scale_top=top)
