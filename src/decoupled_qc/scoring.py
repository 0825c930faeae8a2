"""From prediction maps to tidy scores: one value a row."""

from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from decoupled_qc import iqm, metrics
from decoupled_qc.analysis.scores import COLUMNS
from decoupled_qc.network import TASK
from decoupled_qc.predictions import read_prediction

GREY_MATTER, WHITE_MATTER = 2, 3  # values in a *_dseg.nii.gz
UL_PER_ML = 1000


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
        A row per scan, metric and aggregation, with the columns of ``scores.csv``.
    """
    scans = pd.read_csv(scans_table, sep="\t")
    rows = []
    for scan in scans.itertuples():
        image = nib.load(scans_table.parent / scan.image).get_fdata(dtype=np.float32)
        dseg_file = nib.load(scans_table.parent / scan.dseg)
        voxel_ml = float(np.prod(dseg_file.header.get_zooms()[:3])) / UL_PER_ML
        found = read_prediction(predictions, scan.scan)
        measures = dict(_measures(image, np.asanyarray(dseg_file.dataobj), *found, voxel_ml, dilation_voxels))
        if stand_in_rating_cuts is not None:
            rating = 1 + np.searchsorted(stand_in_rating_cuts, measures["dice", "gm"], side="right")
            measures["rating", "stand_in"] = float(rating)
        rows += [
            (scan.subject, scan.scan, model, replicate, scan.condition, scan.artefact, scan.severity, *key, value)
            for key, value in measures.items()
        ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _measures(
    image: np.ndarray,
    dseg: np.ndarray,
    probability: np.ndarray,
    label: np.ndarray,
    variance: dict[str, np.ndarray],
    voxel_ml: float,
    dilation_voxels: int,
) -> Iterator[tuple[tuple[str, str], float]]:
    """Yield ((metric, aggregation), value) of one scan."""
    reference = dseg == GREY_MATTER
    predicted = label.astype(bool)
    yield ("dice", "gm"), metrics.dice(predicted, reference)
    yield ("volume_ml", "gm"), float(predicted.sum()) * voxel_ml
    yield ("reference_volume_ml", "gm"), float(reference.sum()) * voxel_ml

    uncertainty = metrics.entropy(probability)
    yield ("entropy", "mean"), float(uncertainty.mean())
    yield ("volume_variance_ml", "gm"), float(metrics.entropy_variance(uncertainty).sum()) * voxel_ml

    artefact_variance = sum(value for cause, value in variance.items() if cause != TASK)
    yield ("artefact_uncertainty", "mean"), metrics.mean_uncertainty(artefact_variance)
    near = metrics.mean_uncertainty_near(artefact_variance, predicted, dilation_voxels)
    yield ("artefact_uncertainty", "gm_mean"), near
    for cause, value in variance.items():
        yield (f"variance_{cause}", "mean"), metrics.mean_uncertainty(value)

    # White matter cannot be predicted by a grey-matter network: the reference's is used less what was called grey.
    white = dseg == WHITE_MATTER
    yield ("snr", "reference"), iqm.tissue_snr(image, reference)
    yield ("cnr", "reference"), iqm.tissue_cnr(image, reference, white)
    yield ("snr", "predicted"), iqm.tissue_snr(image, predicted)
    yield ("cnr", "predicted"), iqm.tissue_cnr(image, predicted, white & ~predicted)
