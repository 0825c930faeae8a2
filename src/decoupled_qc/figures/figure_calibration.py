"""Whether intervals hold what they promise: of the volume, and of the predicted Dice behind each decision."""

import numpy as np
import pandas as pd

from decoupled_qc.analysis.volumes import WITH_ARTEFACT
from decoupled_qc.figures import style
from decoupled_qc.figures.style import Drawing
from decoupled_qc.paper import typeset

BARS = {  # (kind, calibrated on) → label
    ("sum_var", "nothing"): "\N{GREEK CAPITAL LETTER DELTA}V (as published)",
    ("sqrt_sum_var", "nothing"): "\N{SQUARE ROOT}\N{GREEK CAPITAL LETTER DELTA}V",
    ("sum_sd", "nothing"): "summed sd",
    ("scaled", "validation subjects"): "learnt scale",
    ("conformal", "validation subjects"): "conformal",
    ("conformal_weighted", "validation subjects"): "conformal, weighted",
    ("scaled", "other test subjects"): "learnt scale, crossed",
    ("conformal", "other test subjects"): "conformal, crossed",
}
BAR_LOOKS = {  # calibrated on → how its kinds look
    "nothing": (style.TONES[2], "-"),
    "validation subjects": (style.TONES[0], "-"),
    "other test subjects": (style.TONES[0], "--"),
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
    figure = style.new_figure(style.TWO_COLUMNS_MM, 82)
    left, right = figure.subplots(1, 2)
    faulty = volumes[(volumes["scans"] == WITH_ARTEFACT) & volumes["coverage"].notna()]
    left.plot([0.45, 1], [0.45, 1], color="black", linewidth=0.6, linestyle="--", label="as promised")
    for index, ((bars, on), label) in enumerate(BARS.items()):
        own = faulty[(faulty["bars"] == bars) & (faulty["calibrated_on"] == on)].sort_values("level")
        if own.empty:
            continue
        colour, dashes = BAR_LOOKS[on]
        shift = own["level"] + 0.004 * (index - 3)  # so that bars do not hide one another
        errors = [own["coverage"] - own["ci_low"], own["ci_high"] - own["coverage"]]
        has_interval = own["ci_low"].notna().all()
        left.errorbar(
            shift,
            own["coverage"],
            yerr=np.maximum(errors, 0) if has_interval else None,
            color=colour,
            linestyle=dashes,
            marker=style.MARKERS[index],
            markersize=3,
            elinewidth=0.5,
            label=label,
        )
    left.set(xlabel="level that the interval states", ylabel="share of scans whose volume it holds")
    left.set(xlim=(0.45, 1), ylim=(-0.03, 1.03))
    left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3)
    if len(faulty):
        left.set_title(style.counts_text(faulty.iloc[0], ", "), fontsize=style.SMALL_PT)
    known = decisions.dropna(subset=["predicted_dice"]) if "predicted_dice" in decisions else decisions.iloc[:0]
    for verdict, own in known.groupby("verdict"):
        errors = [own["predicted_dice"] - own["low"], own["high"] - own["predicted_dice"]]
        right.errorbar(
            own["dice"],
            own["predicted_dice"],
            yerr=np.maximum(errors, 0),
            linestyle="",
            color=VERDICTS[verdict][0],
            marker=VERDICTS[verdict][1],
            markersize=3,
            elinewidth=0.3,
            label=f"{verdict} ({len(own)})",
        )
    right.axline((0, 0), slope=1, color="black", linewidth=0.6, linestyle="--")
    right.axvline(target_dice, color="black", linewidth=0.8, linestyle=":")
    right.axhline(target_dice, color="black", linewidth=0.8, linestyle=":", label=f"wanted: {target_dice:g}")
    right.set(xlim=(0, 1), ylim=(0, 1), xlabel="GM Dice", ylabel="predicted Dice with its interval")
    if len(known):
        right.set_title(style.counts(known), fontsize=style.SMALL_PT)
    if len(known):
        right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3)
    for index, axes in enumerate((left, right)):
        style.letter(axes, index)
    rows = pd.concat([faulty.assign(panel="volume"), known.assign(panel="dice")], ignore_index=True)
    return Drawing(figure, rows.dropna(axis=1, how="all"), _caption(faulty, known, coverage, target_dice, error_rate))


def _caption(
    volumes: pd.DataFrame, decisions: pd.DataFrame, coverage: pd.DataFrame, target_dice: float, error_rate: float
) -> str:
    text = (
        "(a) Coverage of the volume's intervals on scans with an artefact, with 95 % subject-bootstrap bars, beside one another "
        "where they would hide each other. Learnt scale and conformal are calibrated on validation subjects, 'crossed' on the "
        "other test subjects; \N{GREEK CAPITAL LETTER DELTA}V: summed voxel variance above clean, the paper's bars; its "
        "root; and the summed standard deviation above clean, not calibrated; none of the three exists for a clean scan. "
        "Weighted: validation scans count by how much likelier their uncertainty is among the test scans."
    )
    at_90 = volumes[np.isclose(volumes["level"], 0.9)]
    stated = [
        f"{BARS[key]} {style.number(own['coverage'].iloc[0])}" for key, own in at_90.groupby(["bars", "calibrated_on"])
    ]
    if stated:
        text += f" At the 90 % level: {', '.join(stated)}."
    if decisions.empty:
        return text + " (b) No scan has a predicted Dice."
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
        f"{text} (b) Dice predicted from the artefact uncertainty, fitted on {decisions['calibrated_on'].iloc[0]} "
        f"({fitted_on}), with an interval made to hold a share of {1 - error_rate:g} of scans. It holds, with 95 % subject-"
        f"bootstrap intervals: {held}. Verdict at Dice {target_dice:g}: {verdicts}; wrong: "
        f"{(decisions['right'] == 'no').sum()}. {style.counts(decisions)}."
    )
