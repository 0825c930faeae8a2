"""How good the segmentation itself is, and how well its probabilities are calibrated, on clean scans and each artefact's."""

import numpy as np
import pandas as pd

from decoupled_qc.analysis import scores as tables
from decoupled_qc.analysis.resampling import mean_interval
from decoupled_qc.seeds import rng_for

COLUMNS = (
    "model", "replicate", "scans", "measure", "value", "ci_low", "ci_high", "n_scans", "n_subjects", "n_anatomies", "n_boot",
    "note",
)  # fmt: skip
BIAS = "volume_bias_percent"
# Column of a scan → measure.
MEASURES = {
    "dice:gm": "dice",
    "hausdorff_95_mm:gm": "hausdorff_95_mm",
    "surface_dice:gm": "surface_dice",
    BIAS: BIAS,
    "calibration_error:brain": "calibration_error",
    "brier:brain": "brier",
    "log_loss_nats:brain": "log_loss_nats",
    "error_overlap:brain": "error_overlap",
}


def segmentation(scores: pd.DataFrame, subjects: pd.DataFrame, *, n_boot: int, seed: int) -> pd.DataFrame:
    """Return the mean of each measure of the segmentation over simulated scans: all, clean ones, each artefact's.

    ``dice`` and ``surface_dice`` (within one voxel): higher is better. ``hausdorff_95_mm``: higher is worse.
    ``volume_bias_percent``: 100 (predicted / reference - 1), 0 is best. Of the grey-matter probability inside the brain:
    ``calibration_error``, ``brier`` and ``log_loss_nats``, higher is worse, and ``error_overlap`` of uncertain and wrong voxels,
    higher is better; see :mod:`decoupled_qc.evaluation.calibration`.

    Args:
        scores, subjects: As for :func:`decoupled_qc.analysis.correlation.correlate`.
        n_boot: Draws of the subject bootstrap behind ``ci_low`` and ``ci_high`` (95 %).
        seed: The run's.

    Returns:
        The columns ``COLUMNS``; NaN with a reason in ``note`` where a number does not exist.
    """
    rows = []
    for names, one in tables.each_model(scores, subjects):
        scans = one[tables.simulated(one)]
        if {"volume_ml:gm", "reference_volume_ml:gm"} <= set(scans):
            truth = scans["reference_volume_ml:gm"]
            scans = scans.assign(**{BIAS: 100 * (scans["volume_ml:gm"] / truth.where(truth > 0) - 1)})
        for group, members in tables.all_and_each_kind(scans):
            for column, measure in MEASURES.items():
                if column in members:
                    rows.append({**names, "scans": group, **_mean(members, column, measure, group, n_boot, seed)})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _mean(scans: pd.DataFrame, column: str, measure: str, group: str, n_boot: int, seed: int) -> dict:
    """Return one row."""
    known = scans.dropna(subset=[column])
    row = {"measure": measure, **tables.counted(known), "n_boot": n_boot}
    notes = tables.left_out(len(known), len(scans))
    if known.empty:
        return {**row, "value": np.nan, "note": "; ".join([*notes, "no value: no scan"])}
    values, subject = known[column].to_numpy(), known["subject"].to_numpy()
    low, high, why = mean_interval(values, subject, n_boot, rng_for(seed, "segmentation", group))
    note = "; ".join(filter(None, [*notes, why]))
    return {**row, "value": float(values.mean()), "ci_low": low, "ci_high": high, "note": note}
