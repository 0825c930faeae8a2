"""Leakage: which head rises on which artefact, which artefact a scan is taken for, and which one all heads together name."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, SymLogNorm
from matplotlib.patches import Rectangle

from decoupled_qc.causes import NO_ARTEFACT
from decoupled_qc.figures import style
from decoupled_qc.figures.style import Drawing
from decoupled_qc.paper import typeset

COLUMNS = ["quantity", "artefact", "head", "value", "ci_low", "ci_high", "n_scans", "n_subjects", "n_anatomies", "note"]
LIMIT_SD = 30


def figure_leakage(decoupling: pd.DataFrame, artefacts: list[str]) -> Drawing:
    """Draw the leakage matrix of the simulated scans, and the confusions of the highest head and of all heads together.

    Args:
        decoupling: As :func:`decoupled_qc.analysis.decoupling.decoupling` and
            :func:`decoupled_qc.analysis.naming_accuracy.naming_accuracy` return it, of one network.
        artefacts: In the config's order.
    """
    rows = decoupling.loc[decoupling["set"] == "simulated", COLUMNS]
    figure = style.new_figure(style.TWO_COLUMNS_MM, 72)
    is_named = rows["quantity"].eq("named").any()
    panels = figure.subplots(1, 2 + is_named, width_ratios=[1.15, 1, 1.2][: 2 + is_named])
    left, middle = panels[:2]
    shown = [name for name in artefacts if name in set(rows["artefact"])]
    rises = rows[rows["quantity"].isin(["leakage", "task_drift"])]
    heads = [*shown, *sorted(set(rises["head"]) - set(shown))]
    _heat_map(left, rises, shown, heads, SymLogNorm(1, vmin=-LIMIT_SD, vmax=LIMIT_SD), "RdBu_r", 1)
    left.axvline(len(shown) - 0.5, color="white", linewidth=3)  # beyond it are heads of no artefact
    given = rows[rows["quantity"] == "attribution"]
    _heat_map(middle, given, shown, shown, Normalize(0, 1), "Blues", 2)
    if is_named:
        answers, named = [NO_ARTEFACT, *shown], rows[rows["quantity"] == "named"]
        _heat_map(panels[2], named, answers, answers, Normalize(0, 1), "Blues", 2)
        n_named = int(named.groupby("artefact")["n_scans"].max().sum())
        panels[2].set(title=f"share of scans named so\nby all heads together, {n_named} scans", xlabel="named")
    left.set(
        title="rise of log \N{GREEK SMALL LETTER SIGMA}\N{SUPERSCRIPT TWO} over the clean scan\n(SDs of clean scans)",
        xlabel="head",
    )
    middle.set(title="share of scans on which\nthis head rises most", xlabel="taken for")
    left.set_ylabel("artefact in the scan")
    for index, axes in enumerate(panels):
        style.letter(axes, index)
    quantities = (
        "decoupling_index",
        "attribution_accuracy",
        "naming_accuracy",
        "naming_accuracy_if_forced",
        "share_inside_gain",
    )
    stated = {name: _stated(rows, name) for name in quantities}
    chance = f"1/{len(shown)}" if shown else "NA"
    caption = (
        "(a) Rise of each head's log mean variance on each artefact, paired by subject, in standard deviations of "
        f"clean scans; rows: {', '.join(shown) or 'none'}; framed: the artefact's own head. (b) Which head rises most. "
        f"Decoupling index {stated['decoupling_index']} (0 none, 1 perfect); attribution accuracy "
        f"{stated['attribution_accuracy']} (chance {chance}). 95 % intervals by bootstrap of whole subjects."
    )
    if is_named:
        forced = stated["naming_accuracy_if_forced"]
        caption += (
            " (c) What a verdict would name: the likeliest by a discriminant of all heads, fitted on validation "
            f"subjects, or none. Naming accuracy {stated['naming_accuracy']}, forced to name one {forced}."
        )
    if stated["share_inside_gain"] != "NA":
        caption += (
            f" Where an artefact covers a part of the scan, the share of its head's variance in that part exceeds the part's "
            f"share of the volume by {stated['share_inside_gain']}."
        )
    alike = rows[(rows["quantity"] == "head_correlation") & rows["artefact"].isin(shown) & rows["head"].isin(shown)]
    if alike["value"].notna().any():
        pair = alike.loc[alike["value"].idxmax()]
        rho = typeset.with_interval(pair["value"], pair["ci_low"], pair["ci_high"], 2)
        two = f"{pair['artefact']} and {pair['head']}"
        caption += f" The heads of {two} order the scans most alike, \N{GREEK SMALL LETTER RHO} = {rho}."
    if len(rises):
        colours = f"red: rise, blue: fall, on a logarithmic scale beyond \N{PLUS-MINUS SIGN}1, full from {LIMIT_SD} on"
        counted = style.counts_text(rows.iloc[0])
        figure.supxlabel(f"(a) {colours}. (a), (b) {counted}, each with one artefact", fontsize=style.SMALL_PT)
    else:
        figure.supxlabel("fewer than two artefacts with a head: nothing to tell apart", fontsize=style.SMALL_PT)
    return Drawing(figure, rows, caption)


def _stated(rows: pd.DataFrame, quantity: str) -> str:
    found = rows[(rows["quantity"] == quantity) & (rows["artefact"] == "all")]
    if found.empty or not np.isfinite(found["value"].iloc[0]):
        return "NA"
    row = found.iloc[0]
    return typeset.with_interval(row["value"], row["ci_low"], row["ci_high"], 2)


def _heat_map(
    axes: Axes, rows: pd.DataFrame, artefacts: list[str], heads: list[str], norm: Normalize, colours: str, digits: int
) -> None:
    """Draw values with their numbers; a missing one is left white and says NA."""
    if rows.empty:
        axes.set_axis_off()
        return
    values = (
        rows.pivot(index="artefact", columns="head", values="value").reindex(index=artefacts, columns=heads).to_numpy()
    )
    axes.imshow(np.ma.masked_invalid(values), cmap=colours, norm=norm, aspect="auto")
    for row, column in np.ndindex(values.shape):
        value = values[row, column]
        strong = np.isfinite(value) and abs(norm(value) - norm(0)) > 0.6 * max(norm(0), 1 - norm(0))
        colour = "white" if strong else "black"
        shown_digits = digits if abs(value) < 100 else 0
        axes.text(
            column,
            row,
            style.number(round(value, shown_digits) + 0.0, shown_digits),
            ha="center",
            va="center",
            color=colour,
            fontsize=style.SMALL_PT,
        )
    for name in (name for name in artefacts if name in heads):
        corner = heads.index(name) - 0.5, artefacts.index(name) - 0.5
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor="black", linewidth=0.8, clip_on=False, zorder=3))
    axes.set_xticks(range(len(heads)), heads)
    axes.set_yticks(range(len(artefacts)), artefacts)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
