"""Figure 3: the artefacts, each on the same scan."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from decoupled_qc.analysis.scores import simulated
from decoupled_qc.figures import style
from decoupled_qc.figures.images import image_grid, read_slices, show_scan
from decoupled_qc.figures.style import Drawing
from decoupled_qc.scan_table import read_conditions

COLUMNS = 6


def figure_3(
    wide: pd.DataFrame, conditions: Sequence[Path], artefacts: Sequence[str], *, example_severity: float
) -> Drawing:
    """Draw one subject's clean scan and its scan with each artefact, see :func:`one_subject`.

    Args:
        wide: One row a scan.
        conditions: Folders ``clean``, ``sim-<artefact>`` and ``sweep-<artefact>``, where there are sweeps.
        artefacts: In the order to show.
        example_severity: (0, 1].
    """
    scans = read_conditions(conditions)
    chosen, reason = one_subject(wide[wide["scan"].isin(scans["scan"])], artefacts, example_severity)
    names = ["none", *(name for name in artefacts if name in chosen.index)]

    found = read_slices(scans, list(chosen.loc[names, "scan"]), [], [])
    figure, grid, _ = image_grid(
        -(-len(names) // COLUMNS), min(COLUMNS, len(names)), found[0].image.shape, colour_bars=False, title_mm=8.0
    )
    rows = []
    for axes in grid.flat[len(names) :]:
        axes.set_axis_off()
    for index, (axes, name, slices) in enumerate(zip(grid.flat, names, found, strict=False)):
        scan = chosen.loc[name]
        show_scan(axes, slices)
        severity = "" if name == "none" else f"\nseverity {scan['severity']:.2f}"
        axes.set_title(f"{style.artefact_label(name)}{severity}")
        style.letter(axes, index)
        rows.append((scan["scan"], slices.subject, name, scan["severity"], slices.slice_index))
    caption = (
        f"Simulated artefacts on one held-out subject ({rows[0][1]}, anatomy {chosen['anatomy'].iloc[0]}), axial slice "
        f"{rows[0][4]}, left is left: (a) clean, then {', '.join(style.artefact_label(name) for name in names[1:])}. {reason}; "
        "severities of two artefacts are not equally strong. Each scan is scaled to [0, 1] after its artefact; "
        "dashed: edge of the part that an artefact covers, where it does not cover all."
    )
    return Drawing(
        figure,
        pd.DataFrame(rows, columns=["scan", "subject", "artefact", "severity", "axial_slice"]),
        caption,
    )


def one_subject(wide: pd.DataFrame, artefacts: Sequence[str], severity: float) -> tuple[pd.DataFrame, str]:
    """Return one subject's clean scan and one of each artefact, by artefact, and why these, as a caption says it.

    If some subject has all artefacts' sweeps, the first by name at the common severity nearest the wanted one; else the subject
    whose simulated scans are nearest it over all artefacts.

    Args:
        wide: One row a scan.
        artefacts: That must be among the sweeps.
        severity: (0, 1].
    """
    sweeps = wide[wide["condition"].isin([f"sweep-{name}" for name in artefacts])]
    kinds = sweeps.groupby(["severity", "subject"])["artefact"].nunique()
    common = kinds[kinds == len(artefacts)].reset_index()
    if len(common):
        nearest = common.loc[(common["severity"] - severity).abs().sort_values(kind="stable").index[0]]
        members = sweeps[sweeps["severity"] == nearest["severity"]]
        clean = wide[wide["condition"] == "clean"]
        members = pd.concat([clean, members])
        subject = nearest["subject"]
        reason = (
            f"All at severity {nearest['severity']:g}, the one nearest {severity:g} that all artefacts were swept at"
        )
    else:
        members = wide[simulated(wide)]
        subject = (members["severity"] - severity).abs().groupby(members["subject"]).sum().idxmin()
        reason = f"Of all subjects the one whose severities are nearest {severity:g}"
    return members[members["subject"] == subject].drop_duplicates("artefact").set_index("artefact"), reason
