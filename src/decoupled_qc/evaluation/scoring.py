"""From prediction maps to tidy scores: one value a row."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from decoupled_qc.analysis.scores import COLUMNS
from decoupled_qc.causes import TASK
from decoupled_qc.dseg import GREY_MATTER, WHITE_MATTER
from decoupled_qc.evaluation import calibration, iqm, metrics
from decoupled_qc.evaluation.surfaces import SurfaceDistances
from decoupled_qc.predictions import read_prediction
from decoupled_qc.scan_table import read_scan_table
from decoupled_qc.simulation import affected

UL_PER_ML = 1000
OF_PROBABILITY = {  # metric → function of the probability and the truth of the brain's voxels
    "calibration_error": calibration.expected_calibration_error,
    "brier": calibration.brier_score,
    "log_loss_nats": calibration.negative_log_likelihood,
    "error_overlap": calibration.uncertainty_error_overlap,
}
# What a measure lacks where it is not a number.
NOT_COMPUTABLE = {
    "snr": "no voxel in the grey-matter mask, or all alike",
    "cnr": "no voxel in one of the tissue masks, or all alike",
    "cjv": "no voxel in one of the tissue masks, or no contrast between them",
    "wm2max": "no voxel in the white-matter mask",
    "fber": "no air around the head, or no signal in it (defaced, masked or brain-extracted)",
    "snrd": "no grey matter, or no noise in the air (defaced, masked or brain-extracted)",
    "fwhm_mm": "no head, or neighbouring voxels are unrelated",
    "efc": "the scan is all zeros",
    "gradient_entropy": "the scan is constant",
    "edge_strength": "no slice has an edge",
    "share_inside": "the map is all zeros",
    "artefact_uncertainty": "no voxel was called grey matter",
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
        found = read_prediction(predictions, scan.scan)
        measures = dict(_measures(image, np.asanyarray(dseg_file.dataobj), *found, spacing_mm, dilation_voxels))
        measures |= dict(_inside_the_affected_part(found[2], json.loads(scan.records)))
        if stand_in_rating_cuts is not None:
            rating = 1 + np.searchsorted(stand_in_rating_cuts, measures["dice", "gm"], side="right")
            measures["rating", "stand_in"] = float(rating)
        identity = (scan.subject, scan.scan, model, replicate, scan.condition, scan.artefact, scan.severity)
        rows += [(*identity, *key, value, _reason(key[0], value)) for key, value in measures.items()]
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
    return "" if math.isfinite(value) else NOT_COMPUTABLE.get(metric, "not a finite number")


def _of_probability(
    probability: np.ndarray, reference: np.ndarray, brain: np.ndarray
) -> Iterator[tuple[tuple[str, str], float]]:
    """Yield how well the probability of grey matter, (D, H, W), is calibrated in the brain; air would only dilute it."""
    inside, truth = probability[brain], reference[brain]
    for name, measure in OF_PROBABILITY.items():
        yield (name, "brain"), measure(inside, truth) if len(inside) else math.nan


def _measures(
    image: np.ndarray,
    dseg: np.ndarray,
    probability: np.ndarray,
    label: np.ndarray,
    variance: dict[str, np.ndarray],
    spacing_mm: tuple[float, float, float],
    dilation_voxels: int,
) -> Iterator[tuple[tuple[str, str], float]]:
    """Yield ((metric, aggregation), value) of one scan."""
    voxel_ml = math.prod(spacing_mm) / UL_PER_ML
    reference = dseg == GREY_MATTER
    predicted = label.astype(bool)
    yield ("dice", "gm"), metrics.dice(predicted, reference)
    yield ("volume_ml", "gm"), float(predicted.sum()) * voxel_ml
    yield ("reference_volume_ml", "gm"), float(reference.sum()) * voxel_ml

    surfaces = SurfaceDistances(predicted, reference, spacing_mm)
    yield ("hausdorff_95_mm", "gm"), surfaces.hausdorff_95_mm()
    yield ("surface_dice", "gm"), surfaces.normalised_surface_dice(max(spacing_mm))
    yield from _of_probability(probability, reference, dseg > 0)

    uncertainty = metrics.entropy(probability)
    yield ("entropy", "mean"), float(uncertainty.mean())
    voxel_variance = metrics.entropy_variance(uncertainty)
    yield ("volume_variance_ml", "gm"), float(voxel_variance.sum()) * voxel_ml
    excess = voxel_variance - metrics.entropy_variance(np.zeros(()))
    yield ("volume_variance_ml", "above_certain"), float(excess.sum()) * voxel_ml
    yield ("volume_sd_ml", "gm"), float(np.sqrt(voxel_variance).sum()) * voxel_ml

    artefact_variance = sum(value for cause, value in variance.items() if cause != TASK)
    yield ("artefact_uncertainty", "mean"), metrics.mean_uncertainty(artefact_variance)
    near = metrics.mean_uncertainty_near(artefact_variance, predicted, dilation_voxels)
    yield ("artefact_uncertainty", "gm_mean"), near
    yield ("artefact_uncertainty", "gm_only"), metrics.mean_uncertainty_near(artefact_variance, predicted, 0)
    yield ("artefact_uncertainty", "off_boundary"), metrics.mean_uncertainty_off_boundary(artefact_variance, predicted)
    yield ("artefact_uncertainty", "top_5_percent"), metrics.top_uncertainty(artefact_variance)
    yield ("artefact_uncertainty", "patch_max"), metrics.patch_max_uncertainty(artefact_variance, spacing_mm)
    for cause, value in variance.items():
        yield (f"variance_{cause}", "mean"), metrics.mean_uncertainty(value)

    white, enclosed = dseg == WHITE_MATTER, iqm.enclosed_white(image, predicted, spacing_mm)
    yield ("snr", "reference"), iqm.tissue_snr(image, reference)
    yield ("cnr", "reference"), iqm.tissue_cnr(image, reference, white)
    yield ("snr", "predicted"), iqm.tissue_snr(image, predicted)
    yield ("cnr", "predicted"), iqm.tissue_cnr(image, predicted, enclosed)
    yield ("cjv", "reference"), iqm.cjv(image, reference, white)
    yield ("cjv", "predicted"), iqm.cjv(image, predicted, enclosed)
    yield ("wm2max", "reference"), iqm.wm2max(image, white)
    yield ("efc", "scan"), iqm.efc(image)
    yield ("gradient_entropy", "scan"), iqm.gradient_entropy(image)
    yield ("edge_strength", "scan"), iqm.average_edge_strength(image)
    head, air = iqm.head_and_air(image)
    yield ("fber", "scan"), iqm.fber(image, head, air)
    yield ("snrd", "reference"), iqm.snr_dietrich(image, reference, air)
    yield ("fwhm_mm", "scan"), iqm.fwhm_mm(image, head, spacing_mm)
