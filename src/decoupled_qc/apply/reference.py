"""What validation scans, of people not trained on, tell about a model: the reference that every verdict rests on."""

import json
import logging
import math
from itertools import pairwise
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from tqdm import tqdm

from decoupled_qc.analysis.conformal import conformal_quantile
from decoupled_qc.analysis.expected_dice import dice_model
from decoupled_qc.analysis.naming import cause_model
from decoupled_qc.analysis.volumes import SMALLEST_ML
from decoupled_qc.apply.folder import Model
from decoupled_qc.apply.kind import WIDENING, kind_model
from decoupled_qc.apply.predictor import Predictor
from decoupled_qc.apply.reference_checks import BANDED, FORMAT
from decoupled_qc.apply.results_folder import REFERENCE
from decoupled_qc.causes import NO_ARTEFACT
from decoupled_qc.dseg import GREY_MATTER
from decoupled_qc.errors import InputError
from decoupled_qc.evaluation import metrics
from decoupled_qc.files import sha256_of
from decoupled_qc.models import CARD, WEIGHTS, load_model, save_model
from decoupled_qc.scan_table import read_scan_table
from decoupled_qc.scans import read_scan
from decoupled_qc.units import MM3_PER_ML

log = logging.getLogger(__name__)

OF_KIND = ("gm_volume_ml", "head_ml", "head_level", "head_spread", "grey_level", "cnr")  # an artefact may spoil them
OF_QUALITY = ("task_uncertainty", "artefact_uncertainty")
EDGE_SHARE = 0.005  # of grey matter, that a tight field of view may touch
# Of grey matter's: at most 0.77 on clean and weakly corrupted validation scans of the weights in the package, 1.08 on a brain of
# inverted contrast.
RIM_LEVEL = 0.9
VALIDATION = "validation.csv"  # in the model folder


def make_model_folder(
    trained: Path,
    scans_table: Path,
    folder: Path,
    *,
    bands: list[float],
    target_dice: float,
    error_rate: float,
    inference: dict,
) -> pd.DataFrame:
    """Write ``weights.safetensors``, ``model.json``, ``reference.json`` and ``validation.csv``, the scans behind the reference.

    Args:
        trained: Folder of the trained student.
        scans_table: ``scans.tsv`` of validation scans, clean and with each artefact in each band.
        folder: Existing folder for the results.
        bands: Rising ends of the bands of severity.
        target_dice, error_rate: Of the decision, see :func:`decoupled_qc.analysis.prediction.decisions`.
        inference: The config's block.

    Returns:
        What ``validation.csv`` holds, see :func:`measure_scans`.
    """
    network, card = load_model(trained)
    card["simulators"] = card.pop("artefacts", {})  # settings by name; in a model folder ``artefacts`` are the names
    save_model(folder, network, card)
    about = {
        "format": FORMAT,
        "artefacts": list(network.causes[1:]),
        "sha256": sha256_of(folder / WEIGHTS),
        "inference": inference,
    }
    (folder / CARD).write_text(json.dumps({**about, **card}, indent=2) + "\n")
    scans = measure_scans(Predictor(Model(folder, network, {**card, **about}, {})), scans_table)
    scans.to_csv(folder / VALIDATION, index=False, float_format="%.6g")
    measured = read_measured(folder / VALIDATION)  # so that the reference follows from that table, digit for digit
    found = {**summarise(measured, about["artefacts"], bands, target_dice, error_rate), "sha256": about["sha256"]}
    (folder / REFERENCE).write_text(json.dumps(found, indent=1, allow_nan=False) + "\n")
    return measured


def read_measured(path: Path) -> pd.DataFrame:
    """Read the table of :func:`measure_scans`; a name is text, also one that looks like a number or like a missing value.

    Args:
        path: Comma-separated.
    """
    return pd.read_csv(path, converters=dict.fromkeys(("scan", "subject", "anatomy", "artefact"), str))


def measure_scans(predictor: Predictor, scans_table: Path) -> pd.DataFrame:
    """Return a row per scan: what it is, ``dice:gm``, the error of its volume, and what is measured on a user's scan.

    Scans take the same way as a user's: from the file, onto the model's grid, and back.

    Args:
        predictor: The model.
        scans_table: ``scans.tsv`` of a condition.
    """
    scans = read_scan_table(scans_table)
    rows = []
    for scan in tqdm(scans.itertuples(), total=len(scans), desc="reference", disable=None):
        maps, measures = predictor.measured(read_scan(scans_table.parent / scan.image))
        truth = np.asanyarray(nib.load(scans_table.parent / scan.dseg).dataobj) == GREY_MATTER
        voxel_ml = math.prod(nib.load(scans_table.parent / scan.dseg).header.get_zooms()[:3]) / MM3_PER_ML
        rows.append(
            {
                **{name: getattr(scan, name) for name in ("scan", "subject", "anatomy", "artefact", "severity")},
                "dice:gm": metrics.dice(maps["gm_dseg"].astype(bool), truth),
                "error_ml": measures["gm_volume_ml"] - float(truth.sum()) * voxel_ml,
                **measures,
            }
        )
    return pd.DataFrame(rows)


def summarise(
    measured: pd.DataFrame, artefacts: list[str], bands: list[float], target_dice: float, error_rate: float
) -> dict:
    """Return ``reference.json``, less the hash of the weights.

    Args:
        measured: From :func:`measure_scans`.
        artefacts, bands, target_dice, error_rate: As for :func:`make_model_folder`.

    Raises:
        InputError: There are scans of one subject only, from which nothing can be said of another.
    """
    if measured["subject"].nunique() < 2:
        raise InputError(
            "The reference needs validation scans of two subjects or more: give config key cohort more of them."
        )
    clean = measured[measured["artefact"] == NO_ARTEFACT]
    scores = [*BANDED, *(f"uncertainty_{name}" for name in artefacts)]
    ratio = conformal_quantile(
        (measured["error_ml"].abs() / measured["volume_scale_ml"].clip(lower=SMALLEST_ML)).to_numpy(),
        measured["subject"].to_numpy(),
        1 - error_rate,
    )
    causes, accuracy = cause_model(measured, artefacts, 1 - error_rate)
    return {
        "format": FORMAT,
        "artefacts": artefacts,
        "n_scans": len(measured),
        "n_subjects": int(measured["subject"].nunique()),
        "n_anatomies": int(measured["anatomy"].nunique()),
        "level": 1 - error_rate,
        "clean": {name: _sorted(clean[name]) for name in scores},
        "severity": {name: severities(measured[measured["artefact"] == name], bands) for name in artefacts},
        "cause_model": causes,
        "cause_accuracy": accuracy,
        "dice_model": dice_model(measured, artefacts, error_rate),
        "volume_model": {"scale": "volume_scale_ml", "ratio": _finite(ratio)},
        "decision": {"dice_cut": target_dice, "error_rate": error_rate},
        "input_ranges": input_ranges(measured, target_dice),
        "kind_model": kind_model(usable_scans(measured, target_dice), artefacts),
    }


def usable_scans(measured: pd.DataFrame, target_dice: float) -> pd.DataFrame:
    """Return the scans that show of what kind they are: the clean ones, and those whose Dice reaches the target.

    Of a spike next to no grey matter may be left, and measures that span that let anything pass for a scan.

    Args:
        measured: From :func:`measure_scans`.
        target_dice: Of the decision.
    """
    return measured[(measured["artefact"] == NO_ARTEFACT) | (measured["dice:gm"] >= target_dice)]


def input_ranges(measured: pd.DataFrame, target_dice: float) -> dict[str, list[float]]:
    """Return property → the range that a scan is to lie in: that of usable scans, for how uncertain it may be that of all.

    How much grey matter may touch the edge of the field of view is told by clean scans: wrap puts it there. That what surrounds
    grey matter is darker is what T1-weighted means.

    Args:
        measured, target_dice: As for :func:`usable_scans`.
    """
    usable = usable_scans(measured, target_dice)
    values = {**{name: usable[name] for name in OF_KIND}, **{name: measured[name] for name in OF_QUALITY}}
    ranges = {name: widened(found) for name, found in values.items() if np.isfinite(found).any()}
    at_edge = measured.loc[measured["artefact"] == NO_ARTEFACT, "edge_share"].fillna(0.0)
    return {**ranges, "rim_level": [0.0, RIM_LEVEL], "edge_share": [0.0, max(widened(at_edge)[1], EDGE_SHARE)]}


def severities(scans: pd.DataFrame, bands: list[float], score: str = "artefact_uncertainty") -> dict[str, list[float]]:
    """Return band, such as ``0.25-0.5``, → a score of the scans in it, sorted.

    Args:
        scans: Of one artefact.
        bands: Rising ends.
        score: Column.
    """
    names = [f"{low:g}-{high:g}" for low, high in pairwise(bands)]
    member = pd.cut(scans["severity"], bands, labels=names)
    return {name: _sorted(scans.loc[member == name, score]) for name in names}


def widened(values: pd.Series) -> list[float]:
    """Return the range of finite values, a share ``WIDENING`` of its width wider on both sides, but not below 0.

    Args:
        values: Of a property that cannot be negative.
    """
    finite = values[np.isfinite(values)]
    low, high = float(finite.min()), float(finite.max())
    margin = WIDENING * (high - low)
    return [max(low - margin, 0.0), high + margin]


def _sorted(values: pd.Series) -> list[float]:
    return sorted(float(value) for value in values if math.isfinite(value))


def _finite(value: float) -> float | None:
    """Return None for infinity, which JSON lacks: too few subjects for this level."""
    return value if math.isfinite(value) else None
