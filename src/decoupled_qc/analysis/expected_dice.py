"""The Dice to expect of a scan's segmentation, from the variances of all artefacts, by a curve fitted on validation scans."""

import math
from collections.abc import Mapping
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from decoupled_qc.analysis.conformal import held_out
from decoupled_qc.analysis.naming import LEAST_SD
from decoupled_qc.analysis.prediction import dice_interval, interval_ratio

TARGET = "dice:gm"
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
        see :func:`decoupled_qc.analysis.prediction.dice_interval`, None where there are too few subjects for this rate.
    """
    ratio = interval_ratio(measured, error_rate, partial(_predict, artefacts))
    return {**curve(measured, artefacts), "ratio": ratio if math.isfinite(ratio) else None}


def curve(measured: pd.DataFrame, artefacts: list[str]) -> dict:
    """Return the curve of :func:`dice_model`, without the width of its interval.

    Args:
        measured, artefacts: As there.
    """
    variance = np.stack([_per_gm(scan, artefacts) for scan in measured.to_dict("records")])
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


def expected_dice(found: Mapping[str, float], model: Mapping, artefacts: list[str]) -> float:
    """Return the Dice to expect, [0, 1].

    Args:
        found: What was measured on a scan.
        model: From :func:`dice_model`.
        artefacts: Of the model.
    """
    variance = np.clip(_per_gm(found, artefacts), model["low"], model["high"])
    return float(np.clip(model["offset"] + _terms(variance) @ model["weights"], 0, 1))


def interval(found: Mapping[str, float], model: Mapping, artefacts: list[str]) -> tuple[float, float, float]:
    """Return the Dice to expect and the ends of its interval, all of [0, 1] where none can be promised."""
    dice = expected_dice(found, model, artefacts)
    ratio = math.inf if model["ratio"] is None else model["ratio"]
    low, high = dice_interval(dice, ratio)
    return dice, float(low), float(high)


def _predict(artefacts: list[str], calibration: pd.DataFrame, scans: pd.DataFrame) -> NDArray[np.float64]:
    model = curve(calibration, artefacts)
    return np.array([expected_dice(scan, model, artefacts) for scan in scans.to_dict("records")])


def _per_gm(found: Mapping[str, float], artefacts: list[str]) -> NDArray[np.float64]:
    """Return (artefacts,) each variance per voxel of predicted grey matter."""
    return np.array([found[f"uncertainty_{name}"] * found["box_per_gm"] for name in artefacts])


def _terms(variance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (..., artefacts + 1): the square root of each variance, then that of their sum."""
    return np.sqrt(np.concatenate([variance, variance.sum(axis=-1, keepdims=True)], axis=-1))
