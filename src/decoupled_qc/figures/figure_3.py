"""Figure 3: the artefacts, each on the same scan."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from decoupled_qc.analysis.scores import simulated
from decoupled_qc.figures import style
from decoupled_qc.figures.images import gather_scans, image_grid, read_slices, show_image
from decoupled_qc.figures.style import Drawing

COLUMNS = 3


def figure_3(
    wide: pd.DataFrame, conditions: Sequence[Path], artefacts: Sequence[str], *, example_severity: float
) -> Drawing:
    """Draw one subject's clean scan and its scan with each artefact.

    The subject is the one whose severities are, over all artefacts, nearest ``example_severity``.

    Args:
        wide: One row a scan.
        conditions: Folders ``clean`` and ``sim-<artefact>``.
        artefacts: In the order to show.
        example_severity: (0, 1].
    """
    scans = gather_scans(conditions)
    members = wide[simulated(wide)]
    distance = (members["severity"] - example_severity).abs().groupby(members["subject"]).sum()
    chosen = members[members["subject"] == distance.idxmin()].drop_duplicates("artefact").set_index("artefact")
    names = ["none", *(name for name in artefacts if name in chosen.index)]

    found = read_slices(scans, list(chosen.loc[names, "scan"]), [], [])
    figure, grid, _ = image_grid(
        -(-len(names) // COLUMNS), min(COLUMNS, len(names)), found[0].image.shape, colour_bars=False
    )
    rows = []
    for axes in grid.flat[len(names) :]:
        axes.set_axis_off()
    for index, (axes, name, slices) in enumerate(zip(grid.flat, names, found, strict=False)):
        scan = chosen.loc[name]
        show_image(axes, slices.image)
        severity = "" if name == "none" else f", severity {scan['severity']:.2f}"
        axes.set_title(f"{style.artefact_label(name)}{severity}")
        axes.text(
            0.03,
            0.97,
            "abcdefghijkl"[index],
            transform=axes.transAxes,
            va="top",
            color="white",
            fontweight="bold",
        )
        rows.append((scan["scan"], slices.subject, name, scan["severity"], slices.slice_index))
    caption = (
        f"Simulated artefacts on one held-out subject ({rows[0][1]}), axial slice {rows[0][4]}, left is "
        f"left: (a) clean, then "
        f"{', '.join(style.artefact_label(name) for name in names[1:])}. Each scan is scaled to [0, 1] after "
        f"its artefact."
    )
    return Drawing(
        figure,
        pd.DataFrame(rows, columns=["scan", "subject", "artefact", "severity", "axial_slice"]),
        caption,
    )
