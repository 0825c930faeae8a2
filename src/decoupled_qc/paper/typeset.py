"""A table of text cells with title and footnotes, as plain text, Markdown and LaTeX; and numbers and scores as text."""

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from decoupled_qc import measures
from decoupled_qc.files import write_whole

AGGREGATIONS = {
    "gm_mean": "near GM",
    "gm_only": "inside GM",
    "per_gm": "per voxel of GM",
    "off_boundary": "off boundary",
    "top_5_percent": "top 5 %",
    "patch_max": "patch maximum",
    "reference": "reference masks",
    "predicted": "predicted masks",
    "scan": "",  # a measure of the whole scan has no other kind
}
LONGEST_FLOAT = 35  # rows that fit onto a page


def title_of(metric: str) -> str:
    """Return the name of a score, or of Dice, as tables and figures print it; its own where it has no module."""
    return "GM Dice" if metric == "dice" else measures.entry(metric, "TITLE", metric)


def score_label(score: str, aggregation: str) -> str:
    """Return a score's name and how it is taken, as tables and figures print it."""
    head = score.removeprefix("variance_")
    name = title_of(score).replace("_", " ") if head == score else f"{head} variance"
    how = AGGREGATIONS.get(aggregation, aggregation.replace("_", " "))
    return f"{name} ({how})" if how else name


def number(value: float, digits: int) -> str:
    """Return a number with fixed decimals and a true minus sign, which a rounded 0 does not get; NA for NaN."""
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "\N{MINUS SIGN}") if math.isfinite(value) else "NA"


def with_interval(value: float, low: float, high: float, digits: int) -> str:
    """Return a number with its interval in brackets, without them if it has none."""
    ends = f" [{number(low, digits)}, {number(high, digits)}]" if math.isfinite(low) else ""
    return number(value, digits) + ends


def interval(low: float, high: float, digits: int) -> str:
    """Return the ends of an interval, NA for NaN."""
    return f"{number(low, digits)} to {number(high, digits)}" if math.isfinite(low) else "NA"


def is_text(column: pd.Series) -> bool:
    """Say whether no cell of a column begins like a number; such a column stands at the left, numbers at the right."""
    return not column.str.match("[<\N{MINUS SIGN}]? ?[0-9]|NA$").any()


def as_text(title: str, cells: pd.DataFrame, notes: Sequence[str]) -> str:
    """Return a table as aligned plain text."""
    return "\n".join([title, "", *aligned(cells), "", *notes, ""])


def as_markdown(title: str, cells: pd.DataFrame, notes: Sequence[str]) -> str:
    """Return a table as Markdown."""
    lines = [
        f"**{title}**",
        "",
        f"| {' | '.join(cells.columns)} |",
        f"|{'|'.join('---' if is_text(cells[name]) else '--:' for name in cells)}|",
    ]
    lines += [f"| {' | '.join(row)} |" for row in cells.itertuples(index=False)]
    for note in notes:
        lines += ["", note]
    return "\n".join([*lines, ""])


def as_latex(title: str, cells: pd.DataFrame, notes: Sequence[str]) -> str:
    """Return a table as LaTeX with caption and footnotes; ``Table N.`` at the title's start is left to LaTeX.

    It needs the packages booktabs and graphicx, which makes one that is wider than the text narrower; one of more than
    ``LONGEST_FLOAT`` rows goes over several pages and needs longtable.
    """

    def escaped(text: str) -> str:
        for plain in "%&#_":
            text = text.replace(plain, f"\\{plain}")
        text = text.replace("<", "$<$").replace("|", "$|$").replace("\N{MINUS SIGN}", "$-$")
        return text.replace("rho", r"$\rho$")

    caption = rf"\caption{{{escaped(title.split('. ', 1)[-1])}. {escaped(' '.join(notes))}}}"
    form = "".join("l" if is_text(cells[name]) else "r" for name in cells)
    header = [r"\toprule", " & ".join(escaped(name) for name in cells.columns) + r" \\", r"\midrule"]
    body = [" & ".join(escaped(cell) for cell in row) + r" \\" for row in cells.itertuples(index=False)]
    narrow = r"\footnotesize\setlength{\tabcolsep}{4pt}"
    if len(cells) > LONGEST_FLOAT:
        above = [
            r"\begingroup" + narrow + r"\setlength{\LTcapwidth}{\textwidth}",
            rf"\begin{{longtable}}{{{form}}}",
            caption + r" \\",
        ]
        header += [r"\endfirsthead", *header, r"\endhead"]
        below = [r"\bottomrule", r"\end{longtable}", r"\endgroup"]
    else:
        fitted = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{"
        above = [
            r"\begin{table}",
            r"\centering" + narrow,
            caption,
            r"\medskip",
            fitted + rf"\begin{{tabular}}{{{form}}}",
        ]
        below = [r"\bottomrule", r"\end{tabular}}", r"\end{table}"]
    return "\n".join([*above, *header, *body, *below, ""])


def write(
    data: pd.DataFrame,
    title: str,
    cells: pd.DataFrame,
    notes: Sequence[str],
    csv: Path,
    markdown: Path,
    latex: Path,
    text: Path,
) -> None:
    """Write a table as data, Markdown, LaTeX and plain text.

    Args:
        data: The numbers.
        title, cells, notes: The same as text.
        csv, markdown, latex, text: Files to write.
    """
    with write_whole(csv) as file:
        data.to_csv(file, index=False)
    for path, form in ((markdown, as_markdown), (latex, as_latex), (text, as_text)):
        with write_whole(path) as file:
            file.write_text(form(title, cells, notes))


def aligned(cells: pd.DataFrame) -> list[str]:
    """Return lines of a plain table."""
    columns = []
    for name in cells:
        column = [name, *cells[name]]
        width = max(map(len, column))
        columns.append([cell.ljust(width) if is_text(cells[name]) else cell.rjust(width) for cell in column])
    lines = ["  ".join(row) for row in zip(*columns, strict=True)]
    return [lines[0], "  ".join("-" * len(column[0]) for column in columns), *lines[1:]]
