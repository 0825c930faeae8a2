"""Whether intervals hold what they promise: of the volume, and of the predicted Dice behind each decision."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from decoupled_qc.analysis.volumes import NOTHING, WITH_ARTEFACT
from decoupled_qc.figures import style
from decoupled_qc.figures.style import Drawing
from decoupled_qc.paper import typeset

ERROR_BAR_LEVEL = 0.9  # the one level whose coverage is drawn with its interval: those of all hide each other
BARS = {  # (kind, calibrated on) → label
    ("sum_var", NOTHING): "\N{GREEK CAPITAL LETTER DELTA}V (as published)",
    ("sqrt_sum_var", NOTHING): "\N{SQUARE ROOT}\N{GREEK CAPITAL LETTER DELTA}V",
    ("sum_sd", NOTHING): "summed sd",
    ("scaled", "validation subjects"): "learnt scale",
    ("scaled_sd", "validation subjects"): "summed sd, learnt scale",
    ("conformal", "validation subjects"): "conformal",
    ("conformal_weighted", "validation subjects"): "conformal, weighted",
    ("scaled", "other test subjects"): "learnt scale, crossed",
    ("scaled_sd", "other test subjects"): "summed sd, crossed",
    ("conformal", "other test subjects"): "conformal, crossed",
}
MARKS = dict(zip(dict.fromkeys(kind for kind, _ in BARS), style.MARKERS, strict=False))  # one a kind, calibrated or not
BAR_LOOKS = {  # calibrated on → how its kinds look
    NOTHING: (style.TONES[2], "-", "full"),
    "validation subjects": (style.TONES[0], "-", "full"),
    "other test subjects": (style.TONES[1], "--", "none"),
}
VERDICTS = {"pass": (style.TONES[0], "o"), "review": (style.TONES[2], "^"), "fail": (style.TONES[0], "x")}


def figure_calibration(
    volumes: pd.DataFrame,
    decisions: pd.DataFrame,
    coverage: pd.DataFrame,
    *,
    target_dice: float,
    error_rate: float,
) -> Drawing:
    """Draw coverage of volume intervals against their level, and Dice against predicted Dice with its interval.

    Args:
        volumes: As :func:`decoupled_qc.analysis.volumes.volumes` returns it, of one network.
        decisions: As :func:`decoupled_qc.analysis.prediction.decisions` returns it, of one network.
        coverage: As :func:`decoupled_qc.analysis.prediction.decision_coverage` returns it of these.
        target_dice, error_rate: Those behind the decisions.
    """
    figure = style.new_figure(style.TWO_COLUMNS_MM, 78)
    panels = figure.subplots(1, 3, width_ratios=[1, 1, 1.3])
    faulty = volumes[(volumes["scans"] == WITH_ARTEFACT) & volumes["coverage"].notna()]
    for axes, title, is_calibrated in zip(panels, ("not calibrated", "calibrated"), (False, True), strict=False):
        _draw_coverage(axes, faulty[(faulty["calibrated_on"] != NOTHING) == is_calibrated])
        axes.set_title(title)
    panels[0].set_ylabel("share of scans whose volume it holds")
    known = decisions.dropna(subset=["predicted_dice"]) if "predicted_dice" in decisions else decisions.iloc[:0]
    _draw_dice(panels[2], known, target_dice)
    for index, axes in enumerate(panels):
        style.letter(axes, index)
    counted = [f"(a), (b): {style.counts_text(faulty.iloc[0])}"] if len(faulty) else []
    counted += [f"(c): {style.counts(known)}"] if len(known) else []
    if counted:
        figure.supxlabel("; ".join(counted), fontsize=style.SMALL_PT)
    rows = pd.concat([faulty.assign(panel="volume"), known.assign(panel="dice")], ignore_index=True)
    return Drawing(figure, rows.dropna(axis=1, how="all"), _caption(faulty, known, coverage, target_dice, error_rate))


def _draw_coverage(axes: Axes, volumes: pd.DataFrame) -> None:
    """Draw the coverage of some kinds of interval against their level, at one with its own interval beside."""
    axes.plot([0.45, 1], [0.45, 1], color="black", linewidth=0.6, linestyle="--", label="as promised")
    for index, ((bars, on), label) in enumerate(BARS.items()):
        own = volumes[(volumes["bars"] == bars) & (volumes["calibrated_on"] == on)].sort_values("level")
        if own.empty:
            continue
        colour, dashes, fill = BAR_LOOKS[on]
        look = {"color": colour, "linestyle": dashes, "marker": MARKS[bars], "fillstyle": fill, "markersize": 3.5}
        axes.plot(own["level"], own["coverage"], **look, label=label)
        one = own[np.isclose(own["level"], ERROR_BAR_LEVEL)].dropna(subset=["ci_low"])
        axes.vlines(one["level"] + 0.006 * (index % 5 - 2), one["ci_low"], one["ci_high"], color=colour, linewidth=0.7)
    levels = sorted(volumes["level"].unique())
    axes.set_xticks(levels, [f"{100 * level:g}" for level in levels])
    axes.set(xlabel="level that the interval states (%)", xlim=(0.45, 1), ylim=(-0.03, 1.03))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=1)


def _draw_dice(axes: Axes, known: pd.DataFrame, target_dice: float) -> None:
    """Draw predicted Dice with its interval against Dice, by verdict, and a ring around wrong verdicts."""
    for verdict, (colour, marker) in VERDICTS.items():
        own = known[known["verdict"] == verdict] if len(known) else known
        if len(own):
            errors = [own["predicted_dice"] - own["low"], own["high"] - own["predicted_dice"]]
            look = {"linestyle": "", "color": colour, "marker": marker, "markersize": 3, "elinewidth": 0.3}
            axes.errorbar(
                own["dice"], own["predicted_dice"], yerr=np.maximum(errors, 0), **look, label=f"{verdict} ({len(own)})"
            )
    wrong = known[known["right"] == "no"] if len(known) else known
    if len(wrong):
        axes.plot(wrong["dice"], wrong["predicted_dice"], "o", markersize=7, fillstyle="none", color=style.TONES[0],
                  label=f"wrong ({len(wrong)})")  # fmt: skip
    axes.axline((0, 0), slope=1, color="black", linewidth=0.6, linestyle="--")
    axes.axvline(target_dice, color="black", linewidth=0.8, linestyle=":")
    axes.axhline(target_dice, color="black", linewidth=0.8, linestyle=":", label=f"wanted: {target_dice:g}")
    start = np.floor(10 * known[["dice", "low"]].min().min()) / 10 if len(known) else 0.0
    axes.set(xlim=(start, 1), ylim=(start, 1), xlabel="GM Dice", ylabel="predicted Dice with its interval")
    if len(known):
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)


def _caption(
    volumes: pd.DataFrame, decisions: pd.DataFrame, coverage: pd.DataFrame, target_dice: float, error_rate: float
) -> str:
    text = (
        "(a, b) Coverage of the volume's intervals on scans with an artefact, at 90 % with its 95 % subject-bootstrap interval. "
        "Learnt scale and conformal are calibrated on validation subjects, 'crossed' on the "
        "other test subjects; \N{GREEK CAPITAL LETTER DELTA}V: summed voxel variance above clean, the paper's bars; its "
        "root; and the summed standard deviation above clean, not calibrated; none of the three exists for a clean scan. "
        "Weighted: validation scans count by how much likelier their uncertainty is among the test scans."
    )
    at_90 = volumes[np.isclose(volumes["level"], ERROR_BAR_LEVEL)]
    stated = [
        f"{label} {style.number(own['coverage'].iloc[0])}"
        for (bars, on), label in BARS.items()
        if len(own := at_90[(at_90["bars"] == bars) & (at_90["calibrated_on"] == on)])
    ]
    if stated:
        text += f" At the 90 % level: {', '.join(stated)}."
    if decisions.empty:
        return text + " (c) No scan has a predicted Dice."
    counts = decisions["verdict"].value_counts()
    subjects, anatomies = (int(decisions[f"n_calibration_{name}"].max()) for name in ("subjects", "anatomies"))
    fitted_on = f"{style.plural(subjects, 'subject', 'subjects')} of {style.plural(anatomies, 'anatomy', 'anatomies')}"
    if anatomies < subjects:
        fitted_on += "; subjects of one anatomy are alike, so nothing is promised for a head of another kind"
    held = ", ".join(
        f"{row.scans} {typeset.with_interval(row.coverage, row.ci_low, row.ci_high, 2)} "
        f"({style.plural(row.n_scans, 'scan', 'scans')})"
        for row in coverage.dropna(subset=["coverage"]).itertuples()
    )
    verdicts = ", ".join(f"{counts.get(verdict, 0)} {verdict}" for verdict in VERDICTS)
    return (
        f"{text} (c) Dice predicted from the variances of all artefacts, fitted on {decisions['calibrated_on'].iloc[0]} "
        f"({fitted_on}), with an interval made to hold a share of {1 - error_rate:g} of scans. It holds, with 95 % subject-"
        f"bootstrap intervals: {held}. Verdict at Dice {target_dice:g}: {verdicts}; wrong: "
        f"{(decisions['right'] == 'no').sum()}. {style.counts(decisions)}."
    )
