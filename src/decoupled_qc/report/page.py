"""One self-contained HTML page: tables, figures, cohort, networks, versions."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from PIL import Image

from decoupled_qc.analysis.meaning import direction
from decoupled_qc.paper import tables, typeset
from decoupled_qc.paper.analysis_tables import difference_parts
from decoupled_qc.templates import environment

PICTURE_PIXELS = 1600  # of its longer side: sharp at the width of a page on a screen of double density
PICTURE_QUALITY = 88  # of WebP, 0 to 100; text and thin lines stay clean, in less than half the size of the PNG


@dataclass(frozen=True)
class Picture:
    """A figure for the page."""

    title: str
    png: Path
    caption: str

    @property
    def data(self) -> str:
        """Return the picture as base64 text of a WebP, so that the page needs no other file and stays small."""
        with Image.open(self.png) as png:
            picture = png.convert("RGB")
        picture.thumbnail((PICTURE_PIXELS, PICTURE_PIXELS))
        packed = io.BytesIO()
        picture.save(packed, "WEBP", quality=PICTURE_QUALITY)
        return base64.b64encode(packed.getvalue()).decode()


def render(
    *,
    run: str,
    headline: pd.Series,
    paper_tables: list[tuple[str, pd.DataFrame, list[str]]],
    difference: pd.DataFrame,
    real_artefacts: pd.DataFrame | None,
    pictures: list[Picture],
    manifest: pd.DataFrame,
    diagnostics: dict[str, pd.DataFrame],
    trainings: dict[str, Picture],
    costs: pd.DataFrame,
    stand_in: bool,
    rated: bool,
    versions: dict[str, str],
) -> str:
    """Return the report.

    Args:
        run: Its name.
        headline: Row of Table 1 with the artefact uncertainty, see :func:`decoupled_qc.paper.tables.correlation_table`.
        paper_tables: Title, cells and footnotes of Tables 1 and 2, see :func:`decoupled_qc.paper.run_tables.table_of_run`, and
            of what stands with them.
        difference: As :func:`decoupled_qc.analysis.difference.difference` returns it.
        real_artefacts: As :func:`decoupled_qc.analysis.real.real_artefacts` returns it; None without rated scans.
        pictures: In the order to show.
        manifest: The cohort, with the columns ``subject``, ``anatomy``, ``role``, ``label_source``.
        diagnostics: Model → what its check on validation scans found, any columns.
        trainings: Model → figure of its training, whose caption holds the warnings.
        costs: As :func:`decoupled_qc.costs.cost_table` returns them.
        stand_in: Whether the real set's scans are stand-ins.
        rated: Whether raters judged them all the same.
        versions: Name → version.
    """
    test, gains = manifest[manifest["role"] == "test"], difference_parts(difference, stand_in)
    template = environment("decoupled_qc.report").get_template("report.html")
    return template.render(
        run=run,
        headline=headline,
        paper_rho=tables.PAPER["simulated"][headline["score"]][0],
        number=tables.number,
        paper_tables=[{"title": title, "cells": _cells(cells), "notes": notes} for title, cells, notes in paper_tables],
        real_artefacts=None if real_artefacts is None else _cells(_found(real_artefacts)),
        gains={"title": gains[1], "cells": _cells(gains[2]), "notes": gains[3]},
        pictures=pictures,
        cohort=_cells(_cohort(manifest)),
        n_test_subjects=len(test),
        test_anatomies=sorted(test["anatomy"].unique()),
        shared_anatomies=sorted(set(test["anatomy"]) & set(manifest.loc[manifest["role"] != "test", "anatomy"])),
        diagnostics={model: _cells(_rounded(table)) for model, table in diagnostics.items()},
        trainings=trainings,
        costs=_cells(_rounded(costs)),
        stand_in=stand_in,
        rated=rated,
        versions=versions,
    )


def _cells(table: pd.DataFrame) -> dict[str, list]:
    """Return a table as header, rows of text, and which columns hold words rather than numbers."""
    text = table.astype(str)
    words = [bool(text[name].str.contains("[A-Za-z]{4}").any()) for name in text]
    return {"header": list(table.columns), "rows": text.to_numpy().tolist(), "words": words}


def _rounded(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with its fractions as text of three significant digits."""
    return table.apply(lambda column: column.map("{:.3g}".format) if column.dtype.kind == "f" else column)


def _cohort(manifest: pd.DataFrame) -> pd.DataFrame:
    """Return subjects, anatomies and where labels come from per role."""
    roles = manifest.groupby("role", sort=False)
    found = roles.agg(subjects=("subject", "nunique"), anatomies=("anatomy", "nunique"))
    found["from"] = roles["anatomy"].agg(lambda names: ", ".join(sorted(set(names))))
    found["labels"] = roles["label_source"].agg(lambda names: "; ".join(sorted(set(names) - {""})))
    return found.reset_index()


def _found(real_artefacts: pd.DataFrame) -> pd.DataFrame:
    """Return how well each score finds what raters call bad, the best first within each question."""
    turn = real_artefacts["score"].map(direction).where(real_artefacts["quantity"] == "polyserial", 1)
    ordered = real_artefacts.assign(strength=turn * real_artefacts["value"])
    ordered = ordered.sort_values(["quantity", "contrast", "strength"], ascending=[True, True, False])
    rows = [
        {
            "quantity": row.quantity.replace("_", " "),
            "contrast": row.contrast,
            "score": typeset.score_label(row.score, row.aggregation),
            "value": tables.number(row.value),
            "95 % CI": typeset.interval(row.ci_low, row.ci_high, 3),
            "scans": row.n_scans,
            "subjects": row.n_subjects,
        }
        for row in ordered.itertuples()
    ]
    return pd.DataFrame(rows, columns=["quantity", "contrast", "score", "value", "95 % CI", "scans", "subjects"])
