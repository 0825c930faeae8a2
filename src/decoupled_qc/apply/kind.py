"""Whether a scan is of the kind that a model was validated on: what is measured on it, taken together."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf

from decoupled_qc.analysis.conformal import held_out
from decoupled_qc.analysis.naming import SMALLEST

WIDENING = 0.25  # by which what validation scans span is stretched, because they are few
LEAST_SD = 0.05  # of a logarithm: that few scans agree within 5 % says nothing against one that does not
N_NAMED = 2  # measures, in the reason


def kind_measures(artefacts: list[str]) -> list[str]:
    """Return the measures, all positive, that are looked at together.

    Args:
        artefacts: Of the model.
    """
    of_scan = ("gm_volume_ml", "head_ml", "head_level", "head_spread", "grey_level", "snr", "cnr", "task_uncertainty")
    return [*of_scan, *(f"uncertainty_{name}" for name in artefacts)]


def kind_model(measured: pd.DataFrame, artefacts: list[str]) -> dict | None:
    """Return where validation scans lie, and how far from there a scan may be.

    The Mahalanobis distance of a scan is that of its log measures from the mean of the validation scans, by their
    covariance, shrunk (Ledoit & Wolf 2004). A scan may be a share ``WIDENING`` farther than the farthest validation scan is
    from a fit without its subject. Each measure of pure noise or of a scan with inverted contrast may well be one that some
    validation scan has, but they do not go together as in any.

    Args:
        measured: Validation scans that show of what kind they are, with ``subject`` and the measures of :func:`kind_measures`.
        artefacts: Of the model.

    Returns:
        ``measures``, their ``mean`` and ``sd``, the ``precision`` matrix of the standardised, and the ``threshold``; None if
        fewer than two subjects have scans with all measures.

    Source: Mahalanobis 1936; Lee et al. 2018, NeurIPS, for networks.
    """
    names = kind_measures(artefacts)
    whole = measured[np.isfinite(measured[names]).all(axis=1)]
    if whole["subject"].nunique() < 2:
        return None
    x = np.stack([_features(scan, names) for scan in whole.to_dict("records")])
    distances = np.empty(len(x))
    for own in held_out(whole["subject"].to_numpy()):
        distances[own] = _distances(x[own], *_fit(x[~own]))
    mean, sd, precision = _fit(x)
    return {
        "measures": names,
        "mean": mean.tolist(),
        "sd": sd.tolist(),
        "precision": precision.tolist(),
        "threshold": (1 + WIDENING) * float(distances.max()),
    }


def unlike_together(found: Mapping[str, float], model: Mapping | None) -> list[str]:
    """Return in words that a scan's measures do not go together as in validation scans; empty if they do.

    Args:
        found: What was measured on a scan; what could not be is told of by the ranges.
        model: From :func:`kind_model`; None for a reference without one.
    """
    if model is None or not all(math.isfinite(found[name]) for name in model["measures"]):
        return []
    x = _features(found, model["measures"])
    distance = _distances(x[None], model["mean"], model["sd"], model["precision"])[0]
    if distance <= model["threshold"]:
        return []
    z = (x - model["mean"]) / model["sd"]
    shares = z * (np.asarray(model["precision"]) @ z)  # they add up to the distance, squared
    names = [model["measures"][place].removesuffix("_ml").replace("_", " ") for place in np.argsort(-shares)[:N_NAMED]]
    return [
        f"measures that do not go together as in clean or usable validation scans, most of all {' and '.join(names)}"
    ]


def _features(found: Mapping[str, float], names: list[str]) -> NDArray[np.float64]:
    return np.log([max(found[name], SMALLEST) for name in names])


def _fit(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and sd of each measure, and the inverse of the shrunk covariance of the standardised ones."""
    mean, spread = x.mean(axis=0), x.std(axis=0)
    sd = np.maximum(spread, LEAST_SD)
    covariance = ledoit_wolf((x - mean) / sd, assume_centered=True)[0]
    covariance += np.diag(1 - (spread / sd) ** 2)  # so that what hardly varies has a variance of 1 too
    covariance += 1e-6 * np.eye(len(sd))  # of two scans nothing can be inverted
    return mean, sd, np.linalg.inv(covariance)


def _distances(
    x: NDArray[np.float64], mean: NDArray[np.float64], sd: NDArray[np.float64], precision: NDArray[np.float64]
) -> NDArray[np.float64]:
    z = (x - mean) / sd
    return np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", z, precision, z), 0))
