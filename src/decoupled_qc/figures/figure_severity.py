"""Dice and artefact uncertainty as each artefact grows, subject by subject."""

import pandas as pd

from decoupled_qc.analysis.scores import OURS
from decoupled_qc.errors import InputError
from decoupled_qc.figures import style
from decoupled_qc.figures.style import Drawing
from decoupled_qc.figures.sweeps import swept_scans

CLEAN_AT = -0.25  # of the axis of severity: beside the weakest step, which may be next to 0
MEASURES = (("dice:gm", "GM Dice"), (OURS, "artefact uncertainty"))


def figure_severity(wide: pd.DataFrame, trend: pd.DataFrame, artefacts: list[str]) -> Drawing:
    """Draw both against severity, one column an artefact; thin lines are subjects, the thick one their mean.

    Args:
        wide: One row a scan, with the conditions ``sweep-<artefact>``.
        trend: As :func:`decoupled_qc.analysis.severity.severity_trend` returns it, of one network.
        artefacts: In the config's order.

    Raises:
        InputError: There is no sweep.
    """
    shown = [name for name in artefacts if (wide["condition"] == f"sweep-{name}").any()]
    if not shown:
        raise InputError("There is no sweep of an artefact: add one to key test.sweeps.")
    scans = swept_scans(wide, shown)
    scans = scans.assign(place=scans["severity"].where(scans["severity"] > 0, CLEAN_AT))
    colours = style.palette(artefacts, [])
    figure = style.new_figure(style.TWO_COLUMNS_MM, 82)
    grid = figure.subplots(2, len(shown), sharex=True, sharey="row", squeeze=False)
    for column, name in enumerate(shown):
        own = scans[scans["artefact"] == name].sort_values("severity")
        for axes, (measure, label) in zip(grid[:, column], MEASURES, strict=True):
            for _, subject in own.groupby("subject"):
                axes.plot(subject["place"], subject[measure], color=style.CLEAN_COLOUR, linewidth=0.4, alpha=0.5)
            mean = own.groupby("place")[measure].mean()
            axes.plot(mean.index, mean, color=colours[name], marker="o", markersize=2.5)
            found = trend[(trend["artefact"] == name) & (trend["measure"] == measure.split(":")[0])]
            found = found[found["aggregation"] == measure.split(":")[1]].iloc[0]
            of = "(1 \N{MINUS SIGN} Dice)" if measure == "dice:gm" else ""
            tau = f"\N{GREEK SMALL LETTER TAU}{of} = {style.number(found['tau'])}"
            axes.set_title(f"{name}\n{tau}" if measure == MEASURES[0][0] else tau, fontsize=style.SMALL_PT)
            axes.set(xlim=(CLEAN_AT - 0.05, 1.05), xticks=[CLEAN_AT, 0, 0.5, 1], xticklabels=["clean", "0", "0.5", "1"])
            if column == 0:
                axes.set_ylabel(label)
    # Of the whole row, which shares its axis: uncertainties of strong and weak artefacts differ too much for a linear one.
    style.log_scale(grid[1, 0], "y", scans[OURS])
    figure.supxlabel(f"severity (thin: a subject, thick: the mean); {style.counts(scans)}", fontsize=style.FONT_PT)
    rows = scans[["scan", "subject", "anatomy", "artefact", "severity", *(name for name, _ in MEASURES)]]
    rows = rows.rename(columns=lambda name: name.split(":")[0])
    ours = trend[(trend["measure"] == "artefact_uncertainty") & (trend["aggregation"] == "mean")].set_index("artefact")
    stated = ", ".join(f"{name} {style.number(ours.loc[name, 'tau'])}" for name in shown)
    levels = [sorted(own.loc[own["severity"] > 0, "severity"].unique()) for _, own in scans.groupby("artefact")]
    alike = all(one == levels[0] for one in levels)
    listed = (
        f"severity {', '.join(f'{level:g}' for level in levels[0])}" if alike else f"{max(map(len, levels))} severities"
    )
    caption = (
        f"Dice and artefact uncertainty of the clean scan and at {listed} of each artefact, one "
        f"realisation a subject ({style.counts(scans)}). \N{GREEK SMALL LETTER TAU}: Kendall's tau-b of severity with "
        "1 \N{MINUS SIGN} Dice or with the uncertainty, mean over subjects, without the clean scan; 1 if it rises at every step. "
        f"Artefact uncertainty: {stated}."
    )
    return Drawing(figure, rows, caption)
