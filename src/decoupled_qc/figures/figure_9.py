"""Figure 9: some of the worst scans of the real set."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

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


def figure_9(
    wide: pd.DataFrame,
    conditions: Sequence[Path],
    predictions: Sequence[Path],
    artefacts: Sequence[str],
    *,
    stand_in: bool,
) -> Drawing:
    """Draw the worst-rated scan of each artefact of the real set: scan, segmentation, summed artefact variance.

    Of scans with the same rating the more uncertain comes first.

    Args:
        wide: One row a scan.
        conditions: Folders ``clean`` and ``real``.
        predictions: Folders of their maps.
        artefacts: Whose variances are summed.
        stand_in: Whether the real set is a stand-in.
    """
    scans = gather_scans(conditions)
    rating = next(name for name in wide if name.startswith("rating:"))
    members = wide[wide["condition"] == "real"]
    worst_first = members.sort_values([rating, SCORE, "scan"], ascending=[True, False, True])
    chosen = worst_first.drop_duplicates("artefact").head(N_SCANS)
    slices = read_slices(scans, list(chosen["scan"]), predictions, artefacts)
    sums = [np.sum(list(found.variance.values()), axis=0) for found in slices]
    top = top_of(sums)

    figure, grid, bars = image_grid(3, len(slices), slices[0].image.shape, colour_bars=True)
    for column, (found, total) in enumerate(zip(slices, sums, strict=True)):
        scan = chosen.iloc[column]
        show_image(grid[0, column], found.image)
        show_segmentation(grid[1, column], found)
        drawn = show_variance(grid[2, column], total, top)
        grid[0, column].set_title(style.artefact_label(scan["artefact"]))
        grid[1, column].set_title(f"{'stand-in rating' if stand_in else 'rating'} {scan[rating]:.0f} of 4")
        grid[2, column].set_title(f"uncertainty {scan[SCORE]:.3g}")
    for axes, name in zip(grid[:, 0], ("scan", "segmentation", "artefact variance"), strict=True):
        axes.set_ylabel(name)
    figure.align_ylabels(grid[:, 0])
    colour_bar(figure, bars[2], drawn, "variance, one scale")
    explain_segmentation(figure)
    if stand_in:
        style.mark_stand_in(figure)
    rows = chosen[["scan", "subject", "anatomy", "artefact", "severity", rating, SCORE]]
    rows = rows.rename(columns={rating: "rating", SCORE: "artefact_uncertainty"})
    rows = rows.assign(axial_slice=[found.slice_index for found in slices], scale_top=top)
    what = (
        "stand-in scans (artefacts by foreign simulators, not real scans)" if stand_in else "scans with real artefacts"
    )
    caption = (
        f"The worst-rated of each kind among {style.counts(members)} of {what}: scan, segmentation, summed "
        f"artefact variance on one scale from 0 to {top:.3g}. Axial slices, left is "
        f"left."
    )
    return Drawing(figure, rows, caption)
