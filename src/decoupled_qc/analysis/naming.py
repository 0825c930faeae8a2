"""The most likely cause: a linear discriminant of the heads' variances, fitted on validation scans."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf

from decoupled_qc.analysis.conformal import held_out
from decoupled_qc.causes import NO_ARTEFACT

SMALLEST = 1e-12  # of a mean variance
LEAST_SD = 1e-6  # of a log mean variance, so that a head that never moves divides nothing by 0


def discriminant(measured: pd.DataFrame, artefacts: list[str]) -> dict[str, dict]:
    """Return the linear functions of the log mean variances whose largest names what a scan holds.

    x = log mean variance of each head; g_k(x) = m_k' C^-1 x - m_k' C^-1 m_k / 2, with m_k the mean of the scans of kind k and C
    their common covariance, shrunk (Ledoit & Wolf 2004). All kinds are taken as equally likely. Unlike the head that rises
    most, it knows that one artefact moves several heads, and which of them go together on clean scans.

    Args:
        measured: Validation scans: ``artefact`` and ``uncertainty_<artefact>``.
        artefacts: Of the model, in the order of x; one without a scan is never named.

    Returns:
        kind → ``weights`` (artefacts,) C^-1 m_k and ``offset`` - m_k' C^-1 m_k / 2 of g_k, ``none`` among the kinds.

    Source: Fisher 1936; Hastie, Tibshirani & Friedman 2009, section 4.3.
    """
    x = np.stack([features(scan, artefacts) for scan in measured.to_dict("records")])
    kind = measured["artefact"].to_numpy()
    kinds = [name for name in (NO_ARTEFACT, *artefacts) if (kind == name).any()]
    means = np.stack([x[kind == name].mean(axis=0) for name in kinds])
    inside = x - means[[kinds.index(name) for name in kind]]
    sd = np.maximum(inside.std(axis=0), LEAST_SD)
    covariance = ledoit_wolf(inside / sd, assume_centered=True)[0]
    covariance += 1e-6 * np.eye(len(sd))  # of one head that never moves nothing can be inverted
    weights = np.linalg.solve(covariance, (means / sd).T).T / sd
    offsets = -(weights * means).sum(axis=1) / 2
    return {
        name: {"weights": own.tolist(), "offset": float(offset)}
        for name, own, offset in zip(kinds, weights, offsets, strict=True)
    }


def features(found: Mapping[str, float], artefacts: list[str]) -> NDArray[np.float64]:
    """Return (artefacts,) the natural logarithm of each head's mean variance."""
    return np.log([max(found[f"uncertainty_{name}"], SMALLEST) for name in artefacts])


def lead(found: Mapping[str, float], functions: Mapping[str, Mapping], artefacts: list[str]) -> tuple[str, float]:
    """Return the artefact that is the most likely, and by how much its function exceeds that of ``none``.

    Args:
        found: What was measured on a scan.
        functions: From :func:`discriminant`.
        artefacts: Of the model.
    """
    x = features(found, artefacts)
    values = {name: float(np.dot(one["weights"], x)) + one["offset"] for name, one in functions.items()}
    clean = values.pop(NO_ARTEFACT, -math.inf)
    artefact = max(values, key=values.get)
    return artefact, values[artefact] - clean


def named_cause(found: Mapping[str, float], model: Mapping, artefacts: list[str]) -> str:
    """Return the most likely artefact, or ``none`` if it does not exceed that by more than clean scans do.

    Args:
        found: What was measured on a scan.
        model: ``functions``, from :func:`discriminant`, and ``threshold``.
        artefacts: Of the model.
    """
    artefact, excess = lead(found, model["functions"], artefacts)
    return artefact if excess > model["threshold"] else NO_ARTEFACT


def cause_model(measured: pd.DataFrame, artefacts: list[str], level: float) -> tuple[dict, dict]:
    """Return how the cause is named, and how often that is right for scans of a subject that the fit has not seen.

    Model: ``functions`` of :func:`discriminant`, and the ``threshold`` that the most likely artefact
    stays below on a share ``level`` of the clean scans. Accuracy: ``named``, cause → how often it was right when it was named
    (``accuracy``, None if it never was), of ``n`` scans; ``overall``: share of ``n`` corrupted scans with the right
    cause, chance is 1 / artefacts; ``if_forced``: the same where the most likely artefact is always named; ``confusion``: what
    was simulated → what was named → scans.

    Args:
        measured: Validation scans, as for :func:`discriminant`, with ``subject``.
        artefacts: Of the model.
        level: (0, 1).
    """
    truth, subject = measured["artefact"].to_numpy(), measured["subject"].to_numpy()
    likeliest, excess = np.empty(len(measured), dtype=object), np.empty(len(measured))
    for own in held_out(subject):
        functions = discriminant(measured[~own], artefacts)
        found = [lead(scan, functions, artefacts) for scan in measured[own].to_dict("records")]
        likeliest[own], excess[own] = zip(*found, strict=True)
    corrupted = truth != NO_ARTEFACT
    threshold = float(np.quantile(excess[~corrupted], level)) if not corrupted.all() else 0.0
    named = np.where(excess > threshold, likeliest, NO_ARTEFACT)
    of_name = {}
    for cause in (NO_ARTEFACT, *artefacts):
        member = named == cause
        accuracy = float((truth[member] == cause).mean()) if member.any() else None
        of_name[cause] = {"accuracy": accuracy, "n": int(member.sum())}
    confusion = {
        name: {cause: int(((truth == name) & (named == cause)).sum()) for cause in (NO_ARTEFACT, *artefacts)}
        for name in (NO_ARTEFACT, *artefacts)
    }
    model = {"functions": discriminant(measured, artefacts), "threshold": threshold}
    return model, {
        "named": of_name,
        "overall": float((named == truth)[corrupted].mean()),
        "if_forced": float((likeliest == truth)[corrupted].mean()),
        "n": int(corrupted.sum()),
        "confusion": confusion,
    }
