"""How one network's training went: loss, epsilon and learning rate, variances and Dice on held-out patches."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from decoupled_qc.causes import CLEAN, TASK, TOTAL
from decoupled_qc.figures import style
from decoupled_qc.figures.style import Drawing

TERMS = (  # column, label, what a caption says of it, look
    ("loss", "loss", "", style.TONES[0], "-"),
    ("cross_entropy", "cross-entropy", "", style.TONES[1], "--"),
    (
        "consistency",
        "consistency",
        "consistency: how far variances are from the frozen networks', eq. 7, and what those of absent artefacts cost",
        style.TONES[2],
        "-",
    ),
    ("presence", "presence", "presence: cross-entropy of which artefacts there are", style.TONES[3], "--"),
)
LADDER = (
    ("epsilon", "\N{GREEK SMALL LETTER EPSILON}", style.TONES[0], "-"),
    ("learning_rate", "learning rate", style.TONES[2], "--"),
)


def figure_training(
    metrics: pd.DataFrame, looks: pd.DataFrame, warnings: list[str], name: str, artefacts: list[str]
) -> Drawing:
    """Draw the curves of one training.

    Args:
        metrics: ``metrics.csv``.
        looks: ``held_out.csv``.
        warnings: As :func:`decoupled_qc.training.collapse.collapse_warnings` returns them.
        name: Of the network.
        artefacts: Of the run, in the config's order.
    """
    colours = style.palette(artefacts, []) | {TASK: style.CLEAN_COLOUR, TOTAL: style.CLEAN_COLOUR}
    figure = style.new_figure(style.TWO_COLUMNS_MM, 105)
    grid = figure.subplots(2, 2, sharex=True)
    _terms(grid[0, 0], metrics)
    _ladder(grid[0, 1], metrics)
    heads = [column.removeprefix("variance_") for column in looks if column.startswith("variance_")]
    _variances(grid[1, 0], looks, heads, colours)
    _dice(grid[1, 1], looks, colours)
    for index, axes in enumerate(grid.flat):
        style.letter(axes, index)
    figure.supxlabel("training step", fontsize=style.FONT_PT)
    n_scans = style.plural(int(looks["n_scans"].iloc[0]), "validation scan", "validation scans")
    last = looks[(looks["step"] == looks["step"].max()) & (looks["input"] == CLEAN)].iloc[0]
    terms = "; ".join(told for column, _, told, *_ in TERMS if told and metrics[column].any())
    caption = (
        f"{name[0].upper() + name[1:]}, {metrics['step'].max() + 1} steps. (a) Terms of the loss, of the batches that were logged"
        f"{' (' + terms + ')' if terms else ''}. (b) \N{GREEK SMALL LETTER EPSILON} and the learning rate. (c) Each head's mean "
        "variance (full line: with its own artefact; dashed: clean) and (d) Dice, both in one window of each of "
        f"{n_scans}. At the end Dice is {style.number(last['dice'])} on clean windows, where twice the cross-entropy is "
        f"{style.number(last['twice_cross_entropy'], 3)}. "
    )
    caption += " ".join(warnings) if warnings else "No sign of collapse."
    return Drawing(figure, _rows(metrics, looks), caption)


def _terms(axes: Axes, metrics: pd.DataFrame) -> None:
    for column, label, _, colour, dashes in TERMS:
        if metrics[column].any():
            axes.plot(metrics["step"], metrics[column], color=colour, linestyle=dashes, linewidth=0.7, label=label)
    axes.axhline(0, color="black", linewidth=0.4)
    axes.set_ylabel("terms of the loss, single batches")
    style.legend_above(axes)


def _ladder(axes: Axes, metrics: pd.DataFrame) -> None:
    for column, label, colour, dashes in LADDER:
        axes.step(metrics["step"], metrics[column], where="post", color=colour, linestyle=dashes, label=label)
    axes.set_yscale("log")
    axes.set_ylabel("\N{GREEK SMALL LETTER EPSILON} and learning rate")
    style.legend_above(axes)


def _variances(axes: Axes, looks: pd.DataFrame, heads: list[str], colours: dict[str, str]) -> None:
    for head in heads:
        for input_name, dashes in ((CLEAN, (0, (3, 2))), (head, "solid")):
            rows = looks[looks["input"] == input_name]
            if len(rows):
                alone = head in (TASK, TOTAL)  # it has no artefact of its own
                style_of_line = "solid" if alone else dashes
                label = None if input_name == CLEAN and not alone else head
                axes.plot(
                    rows["step"], rows[f"variance_{head}"], color=colours[head], linestyle=style_of_line, label=label
                )
    clean = looks[looks["input"] == CLEAN]
    axes.plot(
        clean["step"], clean["twice_cross_entropy"], color="black", linestyle=":", label="2 × cross-entropy, clean"
    )
    if len(heads) > 1:
        axes.plot([], [], color=style.CLEAN_COLOUR, linestyle=(0, (3, 2)), label="dashed: on clean")
    axes.set_yscale("log")
    axes.set_ylabel("mean variance of each head")
    style.legend_above(axes)


def _dice(axes: Axes, looks: pd.DataFrame, colours: dict[str, str]) -> None:
    for name, rows in looks.groupby("input", sort=False):
        axes.plot(rows["step"], rows["dice"], color=style.CLEAN_COLOUR if name == CLEAN else colours[name], label=name)
    axes.set_ylabel("held-out Dice")
    axes.set_ylim(top=1)
    style.legend_above(axes)


def _rows(metrics: pd.DataFrame, looks: pd.DataFrame) -> pd.DataFrame:
    """Return what is drawn, one value a row."""
    columns = [column for column, *_ in (*TERMS, *LADDER)]
    of_steps = metrics.melt("step", columns, "quantity").assign(input="training")
    of_looks = looks.drop(columns="n_scans").melt(["step", "input"], var_name="quantity")
    found = pd.concat([of_steps, of_looks.astype({"value": np.float64})])
    return found[["step", "input", "quantity", "value"]].reset_index(drop=True)
