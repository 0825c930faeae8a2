"""Figure 8: scans with artefacts the network never saw, and their uncertainty against that of clean scans."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import SubFigure

from decoupled_qc.analysis.scores import OURS
from decoupled_qc.figures import style
from decoupled_qc.figures.images import bar_ticks, finish_bar, read_slices, show_image, show_variance, top_of
from decoupled_qc.figures.style import Drawing
from decoupled_qc.scan_table import read_conditions

# The paper shows noise and wrap; a foreign simulator's ghosting is the nearest to wrap.
EXAMPLES = (("noise",), ("wrap", "ghosting"))
SPREAD = 0.2  # of points beside one another


def figure_8(
    wide: pd.DataFrame,
    conditions: Sequence[Path],
    predictions: Sequence[Path],
    artefacts: Sequence[str],
    *,
    stand_in: bool,
) -> Drawing:
    """Draw two scans of the real set with all variance maps, and box plots of the artefact uncertainty.

    The examples are, of noise and of wrap or ghosting, the scan with the median artefact uncertainty.

    Args:
        wide: One row a scan.
        conditions: Folders ``clean`` and ``real``.
        predictions: Folders of their maps.
        artefacts: In the config's order.
        stand_in: Whether the real set is a stand-in.
    """
    scans = read_conditions(conditions)
    members = _with_clean_scans(wide)
    is_clean = members["artefact"].eq("none")
    members["group"] = is_clean.map({True: "clean", False: "artefact"})
    examples = _examples(members[~is_clean])
    slices = read_slices(scans, list(examples["scan"]), predictions, ["task", *artefacts])
    causes = ["task", *artefacts]
    tops = [top_of([found.variance["task"] for found in slices])]
    tops.append(top_of([found.variance[name] for found in slices for name in artefacts]))

    figure = style.new_figure(style.TWO_COLUMNS_MM, 23 * len(slices) + 20)
    left, right = figure.subfigures(1, 2, width_ratios=[3.3, 1])
    grid = left.subplots(len(slices), 1 + len(causes), squeeze=False)
    for row, (found, scan) in enumerate(zip(slices, examples.itertuples(), strict=True)):
        show_image(grid[row, 0], found.image)
        grid[row, 0].set_ylabel(style.artefact_label(scan.artefact))
        drawn = {cause: show_variance(axes, found.variance[cause], tops[cause != "task"])
                 for axes, cause in zip(grid[row, 1:], causes, strict=True)}  # fmt: skip
    grid[0, 0].set_title("scan")
    style.letter(grid[0, 0], 0)
    for axes, cause in zip(grid[0, 1:], causes, strict=True):
        axes.set_title(f"{cause} \N{GREEK SMALL LETTER SIGMA}\N{SUPERSCRIPT TWO}")
    task_ticks = bar_ticks(tops[0])[::2]  # its bar is short
    for cause, axes, label, ticks, place in (
        ("task", grid[-1, :2], "task variance", task_ticks, {"anchor": (1.0, 1.0), "shrink": 0.45, "aspect": 6}),
        (artefacts[-1], grid[-1, 2:], "artefact variances, one scale", bar_ticks(tops[1]), {"aspect": 25}),
    ):
        bar = left.colorbar(drawn[cause], ax=axes, location="bottom", fraction=0.05, pad=0.03, **place)
        finish_bar(bar, label, ticks)
    medians = _draw_boxes(right, members, artefacts)

    rows = members[["scan", "subject", "anatomy", "condition", "artefact", "severity", "group", OURS]]
    rows = rows.rename(columns={OURS: "artefact_uncertainty"})
    rows = rows.assign(shown_as_example=rows["scan"].isin(examples["scan"]))
    what = (
        "Stand-in scans (artefacts by foreign simulators, not real scans)" if stand_in else "Scans with real artefacts"
    )
    if stand_in:
        style.mark_stand_in(figure)
    shown = " and ".join(style.artefact_label(name) for name in examples["artefact"])
    boxes = [
        f"{name} ({style.counts(rows[rows['group'] == group])}; median {medians[group]:.3g})"
        for group, name in (("clean", "clean scans"), ("artefact", "scans with an artefact"))
    ]
    caption = (
        f"{what}. (a) {shown}, of each the scan with the median uncertainty, with the task variance (0 to "
        f"{tops[0]:.3g}) and the artefact variances (one scale, 0 to {tops[1]:.3g}); colours rise with the root of a variance, "
        f"the standard deviation. Axial slices, left is left. (b) Artefact uncertainty of {' and of '.join(boxes)}; "
        "box: quartiles; whiskers: to the last scan within 1.5 times their range; points: scans, in the colours of figure 10."
    )
    return Drawing(figure, rows, caption)


def _with_clean_scans(wide: pd.DataFrame) -> pd.DataFrame:
    """Return the real set; with the clean condition's scans if it has no clean ones of its own, so that none counts twice."""
    real = wide[wide["condition"].eq("real")]
    if real["artefact"].eq("none").any():
        return real.copy()
    return wide[wide["condition"].isin(["clean", "real"])].copy()


def _examples(scans: pd.DataFrame) -> pd.DataFrame:
    """Return up to two scans: of noise and of wrap or ghosting where there are, else of the first artefacts."""
    chosen = []
    for effects in EXAMPLES:
        fitting = scans[scans["artefact"].map(style.effect_of).isin(effects)]
        names = sorted(fitting["artefact"].unique()) or sorted(
            set(scans["artefact"]) - {row["artefact"] for row in chosen}
        )
        if names:
            members = scans[scans["artefact"] == names[0]].sort_values([OURS, "scan"])
            chosen.append(members.iloc[(len(members) - 1) // 2])
    return pd.DataFrame(chosen)


def _draw_boxes(figure: SubFigure, members: pd.DataFrame, artefacts: Sequence[str]) -> pd.Series:
    """Draw the box plots with every scan as a point of its artefact's colour, spread sideways; return the medians by group."""
    axes = figure.subplots()
    style.letter(axes, 1)
    order = ["clean", "artefact"]
    groups = [members[members["group"] == name].dropna(subset=[OURS]) for name in order]
    colours = style.palette(artefacts, sorted(members["artefact"].unique()))
    axes.boxplot(
        [scans[OURS] for scans in groups],
        positions=range(len(order)),
        widths=0.6,
        showfliers=False,
        patch_artist=True,
        boxprops={"facecolor": "#eeeeee", "linewidth": 0.7},
        medianprops={"color": "black"},
    )
    for place, scans in enumerate(groups):
        sideways = place + style.spread(len(scans), SPREAD)
        axes.scatter(sideways, scans[OURS], s=5, color=scans["artefact"].map(colours), linewidths=0, zorder=3)
    axes.set(xlabel="", ylabel="artefact uncertainty (mean)")
    style.log_scale(axes, "y", members[OURS])
    labels = [f"{name}\n{style.counts(members[members['group'] == name])}".replace(", ", "\n") for name in order]
    axes.set_xticks(range(len(order)), labels)
    return members.groupby("group")[OURS].median()
