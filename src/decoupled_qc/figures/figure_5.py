"""Figure 5: grey-matter volume with error bars as an artefact grows."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from decoupled_qc.errors import InputError
from decoupled_qc.figures import style
from decoupled_qc.figures.style import Drawing
from decoupled_qc.figures.sweeps import swept_scans
from decoupled_qc.scan_table import read_conditions
from decoupled_qc.units import MM3_PER_ML

# Which physical parameter of a record measures the artefact, and how its axis reads.
PARAMETERS = {
    "noise": ("snr_db", "signal-to-noise ratio of the added noise (dB)"),
    "blur": ("ratio", "downsampling ratio of the low-pass"),
}
BARS = {
    "sum_var": "\N{GREEK CAPITAL LETTER DELTA}V, summed voxel variance above clean, taken for a volume as published",
    "sqrt_sum_var": "\N{SQUARE ROOT}\N{GREEK CAPITAL LETTER DELTA}V, root of the summed variance above clean",
}


def figure_5(
    wide: pd.DataFrame,
    conditions: Sequence[Path],
    artefacts: Sequence[str],
    *,
    bars: str,
    spacing_mm: float,
) -> Drawing:
    """Draw predicted grey-matter volume against noise and against blur, with the error bars of eq. 8.

    Thin lines are subjects, points their mean; bars are the mean over subjects of each half-width.

    Args:
        wide: One row a scan, with ``volume_ml``, ``reference_volume_ml`` and ``volume_variance_ml``.
        conditions: Folders ``clean`` and ``sweep-<artefact>``.
        artefacts: All in use, for the colours.
        bars: ``sum_var``: half-width = the summed variance itself, above that of the subject's clean scan, in
            mL, as the published plot must have it (its caption says standard deviation); ``sqrt_sum_var``:
            the standard deviation of the volume if voxels erred independently.
        spacing_mm: Of the volumes, isotropic; the standard deviation depends on it.

    Raises:
        InputError: No sweep of noise or blur, a clean scan is missing, or ``bars`` is unknown.
    """
    if bars not in BARS:
        raise InputError(f"Key analysis.bars is '{bars}': give one of {', '.join(BARS)}.")
    rows = _rows(wide, read_conditions(conditions), bars, spacing_mm**3 / MM3_PER_ML)
    shown = [name for name in PARAMETERS if name in set(rows["artefact"])]
    if not shown:
        raise InputError(f"There is no sweep of {' or '.join(PARAMETERS)}: add one to key test.sweeps.")

    figure = style.new_figure(style.TWO_COLUMNS_MM if len(shown) > 1 else style.ONE_COLUMN_MM, 66)
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    colours = style.palette(artefacts, [])
    for index, (axes, name) in enumerate(zip(panels, shown, strict=True)):
        _draw_panel(axes, rows[rows["artefact"] == name], name, colours[name], index)
    figure.supxlabel(f"error bars: \N{PLUS-MINUS SIGN}{BARS[bars]}; {style.counts(rows)}", fontsize=style.SMALL_PT)
    worst = []
    for name in shown:
        sweep = rows[rows["artefact"] == name]
        level = sweep[sweep["severity"] == sweep["severity"].max()]
        worst.append(
            f"at the worst {name} the volume is "
            f"{100 * (level['volume_ml'] / level['reference_volume_ml']).mean():.0f} % "
            f"of the reference with bars of \N{PLUS-MINUS SIGN}{level['half_width_ml'].mean():.1f} mL"
        )
    caption = (
        f"Grey-matter volume under growing {' and '.join(shown)}, from the clean scan on ({style.counts(rows)}). Points: mean "
        f"over subjects; thin lines: "
        f"subjects; dashed: mean reference volume. Bars: \N{PLUS-MINUS SIGN}{BARS[bars]}; {'; '.join(worst)}."
    )
    return Drawing(figure, rows, caption)


def _rows(wide: pd.DataFrame, scans: pd.DataFrame, bars: str, voxel_ml: float) -> pd.DataFrame:
    """Return a row per scan of a sweep: its physical parameter, volume, reference and half-width."""
    columns = ["volume_ml:gm", "reference_volume_ml:gm", "volume_variance_ml:gm"]
    clean = wide[wide["condition"] == "clean"].set_index("subject")["volume_variance_ml:gm"]
    records = scans.set_index("scan")["records"]
    rows = []
    for scan in swept_scans(wide, PARAMETERS).to_dict("records"):
        name = scan["artefact"]
        if scan["subject"] not in clean.index:
            raise InputError(f"Subject '{scan['subject']}' has a sweep but no clean scan: score its clean scan too.")
        volume, reference, variance = (scan[column] for column in columns)
        above = max(variance - clean[scan["subject"]], 0.0)
        rows.append(
            {
                "scan": scan["scan"],
                "subject": scan["subject"],
                "anatomy": scan["anatomy"],
                "artefact": name,
                "severity": scan["severity"],
                "parameter": PARAMETERS[name][0],
                "value": _parameter(json.loads(records[scan["scan"]]), name),
                "volume_ml": volume,
                "reference_volume_ml": reference,
                "variance_above_clean_ml": above,
                "half_width_ml": above if bars == "sum_var" else float(np.sqrt(above * voxel_ml)),
            }
        )
    return pd.DataFrame(rows, columns=list(rows[0]) if rows else ["artefact"])


def _parameter(records: list[dict], name: str) -> float:
    """Return the physical parameter of an artefact from a scan's records; NaN without that artefact."""
    found = [record for record in records if record["artefact"] == name]
    return float(found[0][PARAMETERS[name][0]]) if found else np.nan


def _draw_panel(axes: Axes, rows: pd.DataFrame, name: str, colour: str, index: int) -> None:
    """Draw one sweep in even steps of severity, in which the parameter is linear; severity 0 is the clean scan."""
    levels = rows.groupby("severity").mean(numeric_only=True).reset_index().sort_values("severity")
    position = {severity: place for place, severity in enumerate(levels["severity"])}
    for number, (_, one) in enumerate(rows.sort_values("severity").groupby("subject")):
        axes.plot(
            one["severity"].map(position),
            one["volume_ml"],
            color=style.CLEAN_COLOUR,
            linewidth=0.6,
            alpha=0.7,
            label=None if number else "a subject",
        )
    place = levels["severity"].map(position)
    axes.axhline(rows["reference_volume_ml"].mean(), color="black", linestyle="--", linewidth=0.8, label="reference")
    axes.errorbar(
        place,
        levels["volume_ml"],
        yerr=levels["half_width_ml"],
        color=colour,
        marker="o",
        markersize=3,
        capsize=2,
        label="mean",
    )
    ticks = [style.number(value, int(value % 1 != 0)) for value in levels["value"].round(1)]
    axes.set_xticks(
        place,
        ["clean" if level == 0 else tick for level, tick in zip(levels["severity"], ticks, strict=True)],
    )
    if index == 0:
        axes.set_ylabel("grey-matter volume (mL)")
    axes.set_xlabel(f"{name}: {PARAMETERS[name][1]}\nmilder \N{RIGHTWARDS ARROW} worse")
    style.legend_above(axes)
    style.letter(axes, index)
