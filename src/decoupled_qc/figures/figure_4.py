"""Figure 4: what the network says of each simulated artefact."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from decoupled_qc.figures import style
from decoupled_qc.figures.images import (
    colour_bar,
    explain_segmentation,
    image_grid,
    nearest_severity,
    read_slices,
    show_scan,
    show_segmentation,
    show_variance,
    top_of,
)
from decoupled_qc.figures.style import Drawing
from decoupled_qc.scan_table import read_conditions

ROWS = ("scan", "segmentation", "task variance", "its artefact's\nvariance")


def figure_4(
    wide: pd.DataFrame,
    conditions: Sequence[Path],
    predictions: Sequence[Path],
    artefacts: Sequence[str],
    *,
    example_severity: float,
) -> Drawing:
    """Draw, per artefact, the scan, its segmentation, the task variance and the matching artefact variance.

    Shown is each artefact's scan with the severity nearest ``example_severity``, so nothing is picked by its
    result. The maps of a row share one scale from 0 to their 99.5th percentile; colours rise
    with the standard deviation, or noise alone would be seen.

    Args:
        wide: One row a scan.
        conditions: Folders ``clean`` and ``sim-<artefact>``.
        predictions: Folders of their maps.
        artefacts: In the order to show.
        example_severity: (0, 1].
    """
    scans = read_conditions(conditions)
    chosen = {name: nearest_severity(wide, name, example_severity) for name in artefacts}
    found = read_slices(scans, [row["scan"] for row in chosen.values()], predictions, ["task", *artefacts])
    slices = dict(zip(chosen, found, strict=True))
    tops = [
        top_of([found.variance["task"] for found in slices.values()]),
        top_of([found.variance[name] for name, found in slices.items()]),
    ]

    figure, grid, bars = image_grid(4, len(artefacts), found[0].image.shape, colour_bars=True)
    rows = []
    for column, (name, found) in enumerate(slices.items()):
        scan = chosen[name]
        show_scan(grid[0, column], found)
        show_segmentation(grid[1, column], found)
        drawn = [
            show_variance(grid[2, column], found.variance["task"], tops[0]),
            show_variance(grid[3, column], found.variance[name], tops[1]),
        ]
        grid[0, column].set_title(f"{name}, severity {scan['severity']:.2f}")
        grid[1, column].set_title(f"Dice {scan['dice:gm']:.2f}")
        rows.append(
            {
                "scan": scan["scan"],
                "subject": found.subject,
                "artefact": name,
                "severity": scan["severity"],
                "axial_slice": found.slice_index,
                "dice": scan["dice:gm"],
                "slice_mean_variance_task": float(np.mean(found.variance["task"])),
                "slice_mean_variance_own_artefact": float(np.mean(found.variance[name])),
                "scale_top_task": tops[0],
                "scale_top_own_artefact": tops[1],
            }
        )
    for axes, name in zip(grid[:, 0], ROWS, strict=True):
        axes.set_ylabel(name)
    figure.align_ylabels(grid[:, 0])
    for row, image in zip((2, 3), drawn, strict=True):
        colour_bar(figure, bars[row], image, "variance, one scale in this row")
    explain_segmentation(figure)
    worst = min(rows, key=lambda row: row["dice"])
    shown, name = slices[worst["artefact"]], worst["artefact"]
    seen = (shown.predicted & shown.reference).sum() / max(shown.reference.sum(), 1)
    over_scan = chosen[name][f"variance_{name}:mean"]
    subjects = wide.loc[wide["scan"].isin([row["scan"] for row in rows]), ["subject", "anatomy"]].nunique()
    caption = (
        f"Held-out simulated artefacts ({style.plural(subjects['subject'], 'subject', 'subjects')} from "
        f"{style.plural(subjects['anatomy'], 'anatomy', 'anatomies')}), for each the scan with severity "
        f"nearest "
        f"{example_severity}. Rows: scan (dashed: edge of the part that the artefact covers, "
        f"where it does not cover all); predicted grey matter with the reference's outline; task variance; variance of "
        f"the matching artefact. Each row of maps has one scale, 0 to {tops[0]:.3g} and 0 to {tops[1]:.3g} "
        f"(99.5th "
        f"percentile of the row); colours rise with its root, the standard deviation. Axial slices, left is left. "
        f"Lowest Dice: {name}, where the network finds {100 * seen:.0f} % of the reference's grey matter in the slice shown; its "
        f"{name} variance is on average {worst['slice_mean_variance_own_artefact']:.2g} in the slice and {over_scan:.2g} in "
        "the scan."
    )
    return Drawing(figure, pd.DataFrame(rows), caption)
