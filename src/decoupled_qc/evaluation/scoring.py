"""From prediction maps to tidy scores: one value a row."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from decoupled_qc import measures
from decoupled_qc.errors import InputError
from decoupled_qc.evaluation import calibration, metrics
from decoupled_qc.evaluation.evidence import Evidence
from decoupled_qc.evaluation.surfaces import SurfaceDistances
from decoupled_qc.predictions import read_prediction
from decoupled_qc.scan_table import read_scan_table
from decoupled_qc.score_table import COLUMNS, NOT_SCORES
from decoupled_qc.simulation import affected
from decoupled_qc.units import MM3_PER_ML

OF_PROBABILITY = {  # metric → function of the probability and the truth of the brain's voxels
    "calibration_error": calibration.expected_calibration_error,
    "brier": calibration.brier_score,
    "log_loss_nats": calibration.negative_log_likelihood,
    "error_overlap": calibration.uncertainty_error_overlap,
}
WHY_MISSING = {  # what a scan lacks that has no value; of a score its module says so
    "share_inside": "the map is all zeros",
    "hausdorff_95_mm": "no grey matter in the reference, or none was found",
    **dict.fromkeys(OF_PROBABILITY, "no voxel of the reference is brain"),
}


def score_condition(
    scans_table: Path,
    predictions: Path,
    *,
    model: str,
    replicate: int,
    dilation_voxels: int,
    stand_in_rating_cuts: list[float] | None,
) -> pd.DataFrame:
    """Score every scan of a condition.

    Args:
        scans_table: ``scans.tsv`` of the condition; its paths are relative to its folder.
        predictions: Folder of the model's maps on that condition.
        model, replicate: Which network made them.
        dilation_voxels: Of the predicted grey matter, for the regional uncertainty.
        stand_in_rating_cuts: Rising Dice values at which a stand-in rating steps from 1 (worst) to 2, 3 and 4 (best);
            None where there is no stand-in rating.

    Returns:
        A row per scan, metric and aggregation, with the columns of ``scores.csv``; ``note`` says why a value is NaN.
    """
    scans = read_scan_table(scans_table)
    rows = []
    for scan in scans.itertuples():
        image = nib.load(scans_table.parent / scan.image).get_fdata(dtype=np.float32)
        dseg_file = nib.load(scans_table.parent / scan.dseg)
        spacing_mm = tuple(float(size) for size in dseg_file.header.get_zooms()[:3])
        dseg = np.asanyarray(dseg_file.dataobj)
        probability, label, variance = read_prediction(predictions, scan.scan)
        evidence = Evidence(image, dseg, probability, label.astype(bool), variance, spacing_mm, dilation_voxels)
        found = dict(_of_segmentation(evidence)) | dict(_scores(evidence))
        found |= dict(_inside_the_affected_part(variance, json.loads(scan.records)))
        if stand_in_rating_cuts is not None:
            rating = 1 + np.searchsorted(stand_in_rating_cuts, found["dice", "gm"], side="right")
            found["rating", "stand_in"] = float(rating)
        identity = (scan.subject, scan.scan, model, replicate, scan.condition, scan.artefact, scan.severity)
        rows += [(*identity, *key, value, _reason(key[0], value)) for key, value in found.items()]
    return pd.DataFrame(rows, columns=[*COLUMNS, "note"])


def _inside_the_affected_part(
    variance: dict[str, np.ndarray], records: list[dict]
) -> Iterator[tuple[tuple[str, str], float]]:
    """Yield which share of each map lies where a scan's only artefact is, if that covers a part of the scan."""
    if len(records) == 1 and records[0].get("local"):
        part = affected.affected_part(next(iter(variance.values())).shape, records[0]["local"])
        yield ("share_inside", "volume"), float(part.mean())
        for cause, values in variance.items():
            yield ("share_inside", cause), affected.share_inside(values, part)


def _reason(metric: str, value: float) -> str:
    """Return why a value is missing, nothing where it is there."""
    if math.isfinite(value):
        return ""
    return WHY_MISSING.get(metric) or measures.entry(metric, "MISSING", "not a finite number")


def _scores(evidence: Evidence) -> Iterator[tuple[tuple[str, str], float]]:
    """Yield ((metric, aggregation), value) of every score of one scan."""
    for name in measures.with_function("measure"):
        if name in NOT_SCORES:
            raise InputError(f"src/decoupled_qc/measures/{name}.py has the name of what is no score: give it another.")
        for aggregation, value in measures.load(name).measure(evidence).items():
            yield (name, aggregation), value
    for cause, values in evidence.variance.items():
        yield (f"variance_{cause}", "mean"), metrics.mean_uncertainty(values)


def _of_segmentation(evidence: Evidence) -> Iterator[tuple[tuple[str, str], float]]:
    """Yield ((metric, aggregation), value) of what is no score: how good the segmentation is, and its volume."""
    predicted, grey, spacing_mm = evidence.predicted, evidence.grey, evidence.spacing_mm
    yield ("dice", "gm"), metrics.dice(predicted, grey)
    surfaces = SurfaceDistances(predicted, grey, spacing_mm)
    yield ("hausdorff_95_mm", "gm"), surfaces.hausdorff_95_mm()
    yield ("surface_dice", "gm"), surfaces.normalised_surface_dice(max(spacing_mm))
    brain = evidence.dseg > 0  # air would only dilute how well the probability is calibrated
    inside, truth = evidence.probability[brain], grey[brain]
    for name, function in OF_PROBABILITY.items():
        yield (name, "brain"), function(inside, truth) if len(inside) else math.nan

    voxel_ml = math.prod(spacing_mm) / MM3_PER_ML
    yield ("volume_ml", "gm"), float(predicted.sum()) * voxel_ml
    yield ("reference_volume_ml", "gm"), float(grey.sum()) * voxel_ml
    voxel_variance = metrics.entropy_variance(evidence.entropy)
    yield ("volume_variance_ml", "gm"), float(voxel_variance.sum()) * voxel_ml
    yield ("volume_variance_ml", "above_certain"), float(metrics.excess_variance(evidence.entropy).sum()) * voxel_ml
    yield ("volume_sd_ml", "gm"), float(np.sqrt(voxel_variance).sum()) * voxel_ml
