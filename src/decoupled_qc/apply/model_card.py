"""The card of a model folder: what it was made from, what it is for, what was measured; all numbers are the run's own."""

import json
from itertools import pairwise
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from decoupled_qc.analysis.correlation import one_set
from decoupled_qc.analysis.expected_dice import dice_of_subjects_left_out
from decoupled_qc.apply.folder import MODEL_CARD
from decoupled_qc.apply.kind import WIDENING
from decoupled_qc.apply.reference import EDGE_SHARE, severities
from decoupled_qc.apply.results_folder import REFERENCE
from decoupled_qc.causes import NO_ARTEFACT
from decoupled_qc.models import CARD, WEIGHTS

TEMPLATE = Path(__file__).with_name("model_card.md")
LEFT_OUT = "left_out:scan"  # the Dice that is expected by the curve fitted without the scan's subject
PER_GM = "artefact_uncertainty:per_gm"
RANKED = {  # masks are predicted ones
    LEFT_OUT: "predicted Dice, of subjects left out of the fit",
    "artefact_uncertainty:scan": "artefact uncertainty",
    PER_GM: "the same per voxel of predicted grey matter",
    "snr:scan": "SNR",
    "cnr:scan": "CNR",
}
DRAWS = {"n_boot": 10_000, "n_permutations": 1, "seed": 0}  # no p is shown


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
    left_out = dice_of_subjects_left_out(measured, reference["artefacts"])
    confusion = reference["cause_accuracy"]["confusion"]
    ranges = [[name, *map(_three_digits, ends)] for name, ends in reference["input_ranges"].items()]
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
        ranked=_table(["score", "ρ with Dice", "n scans"], _correlations(measured, left_out)),
        left_out_error=np.abs(left_out - measured["dice:gm"]).mean(),
        causes=_table(["", *confusion], [[name, *row.values()] for name, row in confusion.items()]),
        ranges=_table(["property", "from", "to"], ranges),
        edge_share=EDGE_SHARE,
        widening=WIDENING,
    )


def _three_digits(value: float) -> str:
    """Return a number with three significant digits, a large one without a power of ten."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _correlations(measured: pd.DataFrame, left_out: NDArray[np.float64]) -> list[list]:
    """Return each score with Spearman's rho and its interval, as text, and the scans where it could be measured."""
    per_gm = measured["artefact_uncertainty"] * measured["box_per_gm"]
    scores = measured.rename(columns={name.removesuffix(":scan"): name for name in RANKED})
    scores = scores.assign(**{LEFT_OUT: left_out, PER_GM: per_gm})
    found = one_set(scores, "dice:gm", list(RANKED), **DRAWS).fillna({"note": ""})
    rows = []
    for name, row in zip(RANKED.values(), found.to_dict("records"), strict=True):
        known = pd.notna(row["rho"])
        interval = f" [{row['ci_low']:.2f}, {row['ci_high']:.2f}]" if known and pd.notna(row["ci_low"]) else ""
        rows.append([name, f"{row['rho']:.2f}{interval}" if known else row["note"], row["n_scans"]])
    return rows


def _cohort(manifest: pd.DataFrame) -> str:
    rows = []
    for role, subjects in manifest.groupby("role", sort=False):
        anatomies = subjects["anatomy"].nunique()
        rows.append([role, len(subjects), anatomies, ", ".join(sorted(set(subjects["label_source"])))])
    return _table(["role", "subjects", "anatomies", "labels from"], rows)


def _table(head: list, rows: list[list]) -> str:
    lines = (head, ["---"] * len(head), *rows)
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
