"""Figure 6: scans of the simulated quality experiment, from worst to best."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from decoupled_qc.analysis.scores import simulated
from decoupled_qc.figures import style
from decoupled_qc.figures.images import (
    colour_bar,
    explain_segmentation,
    gather_scans,
    image_grid,
    read_slices,
    show_image,
    show_segmentation,
    show_variance,
    top_of,
)
from decoupled_qc.figures.style import Drawing

N_SCANS = 6
SCORE = "artefact_uncertainty:mean"


def figure_6(
    wide: pd.DataFrame, conditions: Sequence[Path], predictions: Sequence[Path], artefacts: Sequence[str]
) -> Drawing:
    """Draw scans at even steps of the ranking by Dice: scan, segmentation, summed artefact variance.

    Args:
        wide: One row a scan.
        conditions: Folders ``clean`` and ``sim-<artefact>``.
        predictions: Folders of their maps.
        artefacts: Whose variances are summed.
    """
    scans = gather_scans(conditions)
    ranked = wide[simulated(wide)].sort_values(["dice:gm", "scan"])
    chosen = ranked.iloc[np.unique(np.linspace(0, len(ranked) - 1, N_SCANS).round().astype(int))]
    slices = read_slices(scans, list(chosen["scan"]), predictions, artefacts)
    sums = [np.sum(list(found.variance.values()), axis=0) for found in slices]
    top = top_of(sums)

    figure, grid, bars = image_grid(3, len(slices), slices[0].image.shape, colour_bars=True)
    for column, (scan, found, total) in enumerate(zip(chosen.itertuples(), slices, sums, strict=True)):
        dice, score = chosen["dice:gm"].iloc[column], chosen[SCORE].iloc[column]
        severity = "" if np.isnan(scan.severity) else f", {scan.severity:.2f}"
        show_image(grid[0, column], found.image)
        show_segmentation(grid[1, column], found)
        drawn = show_variance(grid[2, column], total, top)
        grid[0, column].set_title(f"{style.artefact_label(scan.artefact)}{severity}")
        grid[1, column].set_title(f"Dice {dice:.2f}")
        grid[2, column].set_title(f"uncertainty {score:.3g}")
    for axes, name in zip(grid[:, 0], ("scan", "segmentation", "artefact variance"), strict=True):
        axes.set_ylabel(name)
    figure.align_ylabels(grid[:, 0])
    colour_bar(figure, bars[2], drawn, "variance, one scale")
    explain_segmentation(figure)
    rows = chosen[["scan", "subject", "anatomy", "artefact", "severity", "dice:gm", SCORE]].rename(
        columns={"dice:gm": "dice", SCORE: "artefact_uncertainty"}
    )
    rows = rows.assign(axial_slice=[found.slice_index for found in slices], scale_top=top)
    caption = (
        f"Scans of the simulated quality experiment at even steps of the ranking by Dice, worst on the left "
        f"(out of {style.counts(ranked)}): artefact and severity, Dice, artefact uncertainty (mean over the "
        f"volume), and the "
        f"summed artefact variance on one scale from 0 to {top:.3g}. Axial slices, left is left."
    )
    return Drawing(figure, rows, caption)
