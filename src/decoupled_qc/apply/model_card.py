"""The card of a model folder: what it was made from, what it is for, what was measured; all numbers are the run's own."""

import json
from itertools import pairwise
from pathlib import Path

import jinja2
import pandas as pd

from decoupled_qc.apply.folder import MODEL_CARD, REFERENCE
from decoupled_qc.apply.kind import WIDENING
from decoupled_qc.apply.reference import EDGE_SHARE, MILD, severities
from decoupled_qc.models import CARD, WEIGHTS
from decoupled_qc.simulation.conditions import NO_ARTEFACT

TEMPLATE = Path(__file__).with_name("model_card.md")


def write_model_card(
    folder: Path, measured: pd.DataFrame, manifest: pd.DataFrame, bands: list[float], data: str | None
) -> None:
    """Write ``MODEL_CARD.md`` into a model folder, see :func:`model_card`."""
    (folder / MODEL_CARD).write_text(model_card(folder, measured, manifest, bands, data))


def model_card(
    folder: Path, measured: pd.DataFrame, manifest: pd.DataFrame, bands: list[float], data: str | None
) -> str:
    """Return a model folder's card, as Markdown.

    Args:
        folder: With ``model.json`` and ``reference.json``.
        measured: What :func:`decoupled_qc.apply.reference.measure_scans` returned.
        manifest: The cohort: ``role``, ``anatomy`` and ``label_source`` of each subject.
        bands: Rising ends of the bands of severity.
        data: On the training data and their licences, Markdown.
    """
    card, reference = (json.loads((folder / name).read_text()) for name in (CARD, REFERENCE))
    names = [f"{low:g}-{high:g}" for low, high in pairwise(bands)]
    dice = []
    for artefact in reference["artefacts"]:
        found = severities(measured[measured["artefact"] == artefact], bands, "dice:gm")
        means = [f"{pd.Series(values).mean():.2f} (n = {len(values)})" for values in found.values()]
        dice.append([artefact, *means])
    confusion = reference["cause_accuracy"]["confusion"]
    ranges = [[name, f"{low:.3g}", f"{high:.3g}"] for name, (low, high) in reference["input_ranges"].items()]
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(TEMPLATE.read_text()).render(
        card=card,
        reference=reference,
        megabytes=(folder / WEIGHTS).stat().st_size / 1e6,
        data=data,
        clean=measured.loc[measured["artefact"] == NO_ARTEFACT, "dice:gm"],
        error_ml=measured["error_ml"],
        cohort=_cohort(manifest),
        dice=_table(["artefact", *names], dice),
        causes=_table(["", *confusion], [[name, *row.values()] for name, row in confusion.items()]),
        ranges=_table(["property", "from", "to"], ranges),
        mild=MILD,
        edge_share=EDGE_SHARE,
        widening=WIDENING,
    )


def _cohort(manifest: pd.DataFrame) -> str:
    rows = []
    for role, subjects in manifest.groupby("role", sort=False):
        anatomies = subjects["anatomy"].nunique()
        rows.append([role, len(subjects), anatomies, ", ".join(sorted(set(subjects["label_source"])))])
    return _table(["role", "subjects", "anatomies", "labels from"], rows)


def _table(head: list, rows: list[list]) -> str:
    lines = (head, ["---"] * len(head), *rows)
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
