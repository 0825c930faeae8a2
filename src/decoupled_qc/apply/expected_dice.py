"""The Dice to expect of a scan's segmentation, from the variances of all causes, by a surface fitted on validation scans."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV

from decoupled_qc.analysis.naming import LEAST_SD, SMALLEST, features
from decoupled_qc.analysis.prediction import dice_interval, interval_ratio

TARGET = "dice:gm"
PENALTIES = np.logspace(-2, 3, 20)  # of which leave-one-out picks one


def dice_model(measured: pd.DataFrame, artefacts: list[str], error_rate: float) -> dict:
    """Return the surface, and how wide its interval is, conformal by subject and from fits without the subject at hand.

    Dice = offset + sum over causes of a_c x_c + b_c x_c^2, with x_c the log mean variance of a cause, the task's among them,
    standardised and held within the range of the scans that were fitted; ridge regression. The artefact uncertainty alone,
    their sum, cannot tell a cause that costs much Dice from one that costs little.

    Args:
        measured: Validation scans: ``dice:gm``, ``subject``, ``task_uncertainty`` and ``uncertainty_<artefact>``.
        artefacts: Of the model.
        error_rate: (0, 1), share of new subjects' scans whose interval may miss.

    Returns:
        ``low``, ``high``, ``mean``, ``sd`` of each x; ``weights`` of all x, then of all x^2; ``offset``; ``ratio``, see
        :func:`decoupled_qc.analysis.prediction.dice_interval`, None where there are too few subjects for this rate.
    """

    def predict(calibration: pd.DataFrame, scans: pd.DataFrame) -> NDArray[np.float64]:
        model = _fit(calibration, artefacts)
        return np.array([expected_dice(scan, model, artefacts) for scan in scans.to_dict("records")])

    ratio = interval_ratio(measured, error_rate, predict)
    return {**_fit(measured, artefacts), "ratio": ratio if math.isfinite(ratio) else None}


def expected_dice(found: Mapping[str, float], model: Mapping, artefacts: list[str]) -> float:
    """Return the Dice to expect, [0, 1].

    Args:
        found: What was measured on a scan.
        model: From :func:`dice_model`.
        artefacts: Of the model.
    """
    x = np.clip(_features(found, artefacts), model["low"], model["high"])
    z = (x - model["mean"]) / model["sd"]
    return float(np.clip(model["offset"] + np.dot(model["weights"], [*z, *z**2]), 0, 1))


def interval(found: Mapping[str, float], model: Mapping, artefacts: list[str]) -> tuple[float, float, float]:
    """Return the Dice to expect and the ends of its interval, all of [0, 1] where none can be promised."""
    dice = expected_dice(found, model, artefacts)
    ratio = math.inf if model["ratio"] is None else model["ratio"]
    low, high = dice_interval(dice, ratio)
    return dice, float(low), float(high)


def _fit(measured: pd.DataFrame, artefacts: list[str]) -> dict:
    x = np.stack([_features(scan, artefacts) for scan in measured.to_dict("records")])
    mean, sd = x.mean(axis=0), np.maximum(x.std(axis=0), LEAST_SD)
    z = (x - mean) / sd
    ridge = RidgeCV(PENALTIES).fit(np.concatenate([z, z**2], axis=1), measured[TARGET])
    return {
        "low": x.min(axis=0).tolist(),
        "high": x.max(axis=0).tolist(),
        "mean": mean.tolist(),
        "sd": sd.tolist(),
        "weights": ridge.coef_.tolist(),
        "offset": float(ridge.intercept_),
    }


def _features(found: Mapping[str, float], artefacts: list[str]) -> NDArray[np.float64]:
    """Return the log mean variance of the task and of each head."""
    return np.array([math.log(max(found["task_uncertainty"], SMALLEST)), *features(found, artefacts)])
