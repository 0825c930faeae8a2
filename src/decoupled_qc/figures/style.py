"""The one look of all figures: sizes, fonts, one colour per artefact, and how a drawing is saved."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from decoupled_qc.files import write_whole
from decoupled_qc.paper import typeset

MM_PER_INCH = 25.4
ONE_COLUMN_MM, TWO_COLUMNS_MM = 86, 178
DPI = 200
LEGEND_COLUMNS = 3  # of a legend above a panel, beside its letter
FONT_PT, SMALL_PT = 7, 6
LOG_FROM_RATIO = 3.0  # of the largest to the smallest value; below it a logarithmic axis has too few ticks
MANY_TICKS_RATIO = 100.0  # of the ends of a logarithmic axis; from there on a decade has two ticks, not three

# One font that matplotlib brings along, so that a figure is the same on every machine.
RC = {
    "font.family": "DejaVu Sans",
    "font.size": FONT_PT,
    "axes.titlesize": FONT_PT,
    "axes.labelsize": FONT_PT,
    "xtick.labelsize": SMALL_PT,
    "ytick.labelsize": SMALL_PT,
    "legend.fontsize": SMALL_PT,
    "legend.title_fontsize": SMALL_PT,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "axes.labelpad": 2.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.major.pad": 2,
    "ytick.major.pad": 2,
    "lines.linewidth": 1.0,
    "image.interpolation": "nearest",
    "savefig.dpi": DPI,
    "figure.dpi": DPI,
    "pdf.fonttype": 42,
    "svg.hashsalt": "decoupled-qc",
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.02,
    "figure.constrained_layout.w_pad": 0.02,
}

COLOURS = sns.color_palette("colorblind", 10).as_hex()
# Grey stands for clean; the palette's own grey is left to it, and its pale yellow prints too weakly for
# points.
ARTEFACT_COLOURS = [COLOURS[index] for index in (0, 1, 2, 4, 3, 9, 5, 6)]
CLEAN_COLOUR = "#555555"
TONES = ("#000000", "#4d4d4d", "#757575", "#969696")  # for what is no artefact: a colour always names one
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "<")
STAND_IN_TEXT = "stand-in: artefacts by foreign simulators, not real scans"
COUNTED = {"scans": "scan", "subjects": "subject", "anatomies": "anatomy"}


@dataclass(frozen=True)
class Drawing:
    """A figure, the exact rows behind it, and a caption written from them."""

    figure: Figure
    rows: pd.DataFrame
    caption: str


def use() -> None:
    """Set the look for the figures drawn from here on."""
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # it lists each step of embedding a font
    matplotlib.use("agg")
    matplotlib.rcParams.update(RC)


def new_figure(width_mm: float, height_mm: float) -> Figure:
    """Return an empty figure of a printed size.

    Args:
        width_mm, height_mm: Printed size; a column is 86 mm, a page 178 mm wide.
    """
    use()
    return Figure(figsize=(width_mm / MM_PER_INCH, height_mm / MM_PER_INCH), layout="constrained")


def save(drawing: Drawing, pdf: Path, png: Path, csv: Path, caption: Path) -> None:
    """Write a drawing as vector PDF, 200 dpi PNG, the rows plotted as csv, and its caption as text.

    Dates and version strings are left out of the files, so that equal drawings are equal files.

    Args:
        drawing: What a figure function returned.
        pdf, png, csv, caption: Files to write.
    """
    for path, metadata in ((pdf, {"CreationDate": None, "Producer": None}), (png, {"Software": None})):
        with write_whole(path) as file:
            drawing.figure.savefig(file, metadata=metadata)
    with write_whole(csv) as file:
        drawing.rows.to_csv(file, index=False)
    with write_whole(caption) as file:
        file.write_text(drawing.caption + "\n")


def palette(artefacts: Sequence[str], foreign: Sequence[str]) -> dict[str, str]:
    """Return one colour per artefact, the same in every figure of a run.

    The configured artefacts take their colours in the configured order. A foreign simulator's artefact
    (``torchio-motion``) takes the colour of ours of the same name, or the next free one; clean scans
    (``none``) are grey.

    Args:
        artefacts: Names in use, in the config's order.
        foreign: Names of foreign simulators' artefacts.
    """
    colours = {"none": CLEAN_COLOUR}
    for index, name in enumerate(_effects(artefacts, foreign)):
        colours[name] = ARTEFACT_COLOURS[index % len(ARTEFACT_COLOURS)]
    return colours | {name: colours[effect_of(name)] for name in foreign}


def effect_of(artefact: str) -> str:
    """Return what an artefact is, without the tool that made it: ``motion`` of ``torchio-motion``."""
    return artefact.split("-", 1)[-1]


def markers(artefacts: Sequence[str], foreign: Sequence[str]) -> dict[str, str]:
    """Return one marker per artefact, the same in every figure of a run, given as :func:`palette` gives colours."""
    found = {name: MARKERS[index % len(MARKERS)] for index, name in enumerate(["none", *_effects(artefacts, foreign)])}
    return found | {name: found[effect_of(name)] for name in foreign}


def hollow(foreign: Sequence[str]) -> set[str]:
    """Return the foreign artefacts whose markers are hollow: those of all simulators but the last by name."""
    tools = {name: name.split("-", 1)[0] for name in foreign if "-" in name}
    return {name for name, tool in tools.items() if tool != max(tools.values())}


def _effects(artefacts: Sequence[str], foreign: Sequence[str]) -> list[str]:
    """Return the configured artefacts, then those that only foreign simulators make, by name."""
    return [*artefacts, *sorted({effect_of(name) for name in foreign} - set(artefacts) - {"none"})]


def artefact_label(name: str) -> str:
    """Return an artefact's name as a legend shows it."""
    if name == "none":
        return "clean"
    tool, _, effect = name.rpartition("-")
    return f"{effect} ({tool})" if tool else name


def mark_stand_in(figure: Figure, where: str = "") -> None:
    """Write into the figure itself that its scans are stand-ins; ``where`` says which panel's, if not all."""
    figure.suptitle(where + STAND_IN_TEXT, fontsize=FONT_PT, color="#a01010", fontstyle="italic")


def spread(count: int, width: float) -> np.ndarray:
    """Return (count,) even offsets from -width to width, interleaved so that neighbours in a table are not beside each other."""
    offsets = np.linspace(-width, width, count) if count > 1 else np.zeros(count)
    return np.concatenate([offsets[::2], offsets[1::2]])


def number(value: float, digits: int = 2) -> str:
    """Return a number with a fixed number of decimals and a true minus sign; NA for NaN."""
    return typeset.number(value, digits)


def plural(count: int, one: str, many: str) -> str:
    """Return a count with its noun."""
    return f"{count} {one if count == 1 else many}"


def counts(rows: pd.DataFrame) -> str:
    """Return how many scans, subjects and anatomies some rows hold.

    Args:
        rows: With the columns ``scan``, ``subject``, ``anatomy``.
    """
    numbers = {f"n_{name}": rows[column].nunique() for name, column in COUNTED.items()}
    return counts_text(pd.Series(numbers))


def counts_text(row: pd.Series) -> str:
    """Return the scans, subjects and anatomies that a correlation stands on.

    Args:
        row: With ``n_scans``, ``n_subjects``, ``n_anatomies``.
    """
    return ", ".join(
        [
            plural(int(row["n_scans"]), "scan", "scans"),
            plural(int(row["n_subjects"]), "subject", "subjects"),
            plural(int(row["n_anatomies"]), "anatomy", "anatomies"),
        ]
    )


def rho_text(row: pd.Series) -> str:
    """Return rho with its interval, as a panel shows it.

    Args:
        row: With ``rho``, ``ci_low``, ``ci_high``.
    """
    return f"\N{GREEK SMALL LETTER RHO} = {typeset.with_interval(row['rho'], row['ci_low'], row['ci_high'], 2)}"


def log_scale(axes: Axes, which: str, values: pd.Series) -> None:
    """Make an axis logarithmic and its label say so, if its values are positive and not nearly alike; ticks are plain numbers.

    Args:
        axes: The panel, its label set.
        which: ``x`` or ``y``.
        values: What is drawn along it.
    """
    if values.min() > 0 and (ratio := values.max() / values.min()) > LOG_FROM_RATIO:
        axes.set(**{f"{which}scale": "log"})
        axis = getattr(axes, f"{which}axis")
        axis.set_major_locator(LogLocator(subs=(1.0, 3.0) if ratio > MANY_TICKS_RATIO else (1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
        axis.set_label_text(f"{axis.get_label_text()}, log scale")


def legend_above(axes: Axes) -> None:
    """Put a panel's legend above its right end, so that it never lies on the data."""
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=LEGEND_COLUMNS, borderaxespad=0.2)


def letter(axes: Axes, index: int) -> None:
    """Put a panel letter above the left end of an axis."""
    axes.set_title("abcdefghijkl"[index], loc="left", fontweight="bold", fontsize=FONT_PT + 1)
