"""The Dice to expect of a scan's segmentation, from the variances of all artefacts, by a curve fitted on validation scans."""

import math
from collections.abc import Mapping
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from decoupled_qc.analysis import scores as tables
from decoupled_qc.analysis.conformal import held_out
from decoupled_qc.analysis.decoupling import heads_of, variance_of
from decoupled_qc.analysis.dice_interval import dice_interval, interval_ratio
from decoupled_qc.analysis.naming import LEAST_SD
from decoupled_qc.causes import TASK

TARGET = "dice:gm"
PER_GM = "artefact_uncertainty:per_gm"
PENALTY = 1.0  # of the standardised weights: as much as one scan counts


def dice_model(measured: pd.DataFrame, artefacts: list[str], error_rate: float) -> dict:
    """Return the curve, and how wide its interval is, conformal by subject and from fits without the subject at hand.

    Dice = offset - sum over artefacts of a_k sqrt(v_k) - b sqrt(sum of all v_k), with v_k the variance of artefact k summed over
    the head's box, per voxel of predicted grey matter, held within the range of the scans that were fitted, and a_k, b >= 0: no
    rise of a variance can raise the Dice. Ridge regression with bounds. Per voxel of grey matter a variance is not diluted by
    neck and shoulders, as a mean over the scan is, and it rises where grey matter is missed; and unlike the artefact uncertainty
    the curve can tell a cause that costs much Dice from one that costs little.

    Args:
        measured: Validation scans: ``dice:gm``, ``subject``, ``box_per_gm`` and ``uncertainty_<artefact>``.
        artefacts: Of the model.
        error_rate: (0, 1), share of new subjects' scans whose interval may miss.

    Returns:
        ``low``, ``high`` of each v; ``weights`` of each square root, -a_k, then of that of the sum, -b; ``offset``; ``ratio``,
        see :func:`decoupled_qc.analysis.dice_interval.dice_interval`, None where there are too few subjects for this rate.
    """
    ratio = interval_ratio(measured, error_rate, partial(_predict, artefacts))
    return {**curve(measured, artefacts), "ratio": ratio if math.isfinite(ratio) else None}


def curve(measured: pd.DataFrame, artefacts: list[str]) -> dict:
    """Return the curve of :func:`dice_model`, without the width of its interval.

    Args:
        measured, artefacts: As there.
    """
    variance = _per_gm(measured, artefacts)
    x, dice = _terms(variance), measured[TARGET].to_numpy()
    mean, sd = x.mean(axis=0), np.maximum(x.std(axis=0), LEAST_SD)
    penalised = np.concatenate([(x - mean) / sd, math.sqrt(PENALTY) * np.eye(x.shape[1])])
    target = np.concatenate([dice - dice.mean(), np.zeros(x.shape[1])])
    weights = lsq_linear(penalised, target, (-np.inf, 0), method="bvls").x / sd
    return {
        "low": variance.min(axis=0).tolist(),
        "high": variance.max(axis=0).tolist(),
        "weights": weights.tolist(),
        "offset": float(dice.mean() - mean @ weights),
    }


def dice_of_subjects_left_out(measured: pd.DataFrame, artefacts: list[str]) -> NDArray[np.float64]:
    """Return the Dice (n,) that is expected of each validation scan by the curve fitted without its subject.

    Args:
        measured, artefacts: As for :func:`dice_model`.
    """
    found = np.empty(len(measured))
    for own in held_out(measured["subject"].to_numpy()):
        found[own] = _predict(artefacts, measured[~own], measured[own])
    return found


def expected_dice(
    found: Mapping[str, float] | pd.DataFrame, model: Mapping, artefacts: list[str]
) -> NDArray[np.float64]:
    """Return the Dice to expect, [0, 1]: () of a scan, (n,) of a table of scans.

    Args:
        found: What was measured, see :func:`needed`.
        model: From :func:`dice_model` or :func:`curve`.
        artefacts: Of the model.
    """
    variance = np.clip(_per_gm(found, artefacts), model["low"], model["high"])
    return np.clip(model["offset"] + _terms(variance) @ np.array(model["weights"]), 0, 1)


def interval(
    found: Mapping[str, float] | pd.DataFrame, model: Mapping, artefacts: list[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the Dice to expect and the ends of its interval, all of [0, 1] where none can be promised.

    Args:
        found, model, artefacts: As for :func:`expected_dice`; the model with ``ratio``.
    """
    dice = expected_dice(found, model, artefacts)
    return dice, *dice_interval(dice, math.inf if model["ratio"] is None else model["ratio"])


def with_variances(wide: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return a table of scores with the columns of :func:`needed` added, and the artefacts whose variance it has.

    Args:
        wide: One row a scan, ``variance_<artefact>:mean``, and the artefact uncertainty as mean and per voxel of grey matter:
            both sum the same map up, so that their ratio is voxels per voxel of grey matter.
    """
    heads = [head for head in heads_of(wide) if head != TASK]
    if not {tables.OURS, PER_GM} <= set(wide):
        return wide, []
    box = {"box_per_gm": wide[PER_GM] / wide[tables.OURS]}
    return wide.assign(**box, **{f"uncertainty_{head}": wide[variance_of(head)] for head in heads}), heads


def needed(artefacts: list[str]) -> list[str]:
    """Return the columns that a prediction is made from.

    Args:
        artefacts: Of the model.
    """
    return ["box_per_gm", *(f"uncertainty_{name}" for name in artefacts)]


def _predict(artefacts: list[str], calibration: pd.DataFrame, scans: pd.DataFrame) -> NDArray[np.float64]:
    return expected_dice(scans, curve(calibration, artefacts), artefacts)


def _per_gm(found: Mapping[str, float] | pd.DataFrame, artefacts: list[str]) -> NDArray[np.float64]:
    """Return (..., artefacts): each variance per voxel of predicted grey matter."""
    mean = np.stack([np.asarray(found[f"uncertainty_{name}"], float) for name in artefacts], axis=-1)
    return mean * np.asarray(found["box_per_gm"], float)[..., None]


def _terms(variance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (..., artefacts + 1): the square root of each variance, then that of their sum."""
    return np.sqrt(np.concatenate([variance, variance.sum(axis=-1, keepdims=True)], axis=-1))
