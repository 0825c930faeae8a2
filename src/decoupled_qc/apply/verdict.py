"""From what was measured on a scan to a verdict, by the reference that validation scans made."""

import math
from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from decoupled_qc.analysis.expected_dice import interval
from decoupled_qc.analysis.naming import named_cause
from decoupled_qc.analysis.prediction import PASS, REVIEW, verdict
from decoupled_qc.apply.kind import unlike_together
from decoupled_qc.causes import CLEAN

PLAIN_REASONS = {  # by input range: (what is said below it, above it)
    "gm_volume_ml": ("little grey matter ({:.0f} mL)", "much grey matter ({:.0f} mL)"),
    "head_ml": ("a small head or brain ({:.0f} mL)", "a large head or field of view ({:.0f} mL)"),
    "head_level": ("a dark head, but for a few bright voxels", "a head as bright as its brightest parts"),
    "head_spread": ("hardly any contrast in the head", "an unusually wide range of intensities"),
    "grey_level": ("grey matter darker than in a T1-weighted scan", "grey matter brighter than in a T1-weighted scan"),
    "rim_level": (
        "surroundings of grey matter darker than any",
        "surroundings of grey matter as bright as it or brighter ({:.2f} times), unlike fluid in a T1-weighted scan",
    ),
    "edge_share": (
        "less grey matter at the edge of the field of view ({:.1%}) than any",
        "grey matter cut by the edge of the field of view ({:.1%} of it lies there)",
    ),
    "cnr": ("hardly any contrast of grey and white matter", "an unusual contrast of grey and white matter"),
    "task_uncertainty": ("a task uncertainty lower than any", "a task uncertainty higher than any"),
    "artefact_uncertainty": ("an artefact uncertainty lower than any", "an artefact uncertainty higher than any"),
}


def judge(found: Mapping[str, float], reference: Mapping, oddities: list[str]) -> dict[str, object]:
    """Return the columns of a scan's row that follow from what was measured.

    Grey-matter volume and Dice carry conformal intervals. The decision is that of
    :func:`decoupled_qc.analysis.prediction.verdict`, but a scan unlike the training data, on which no interval rests, never
    passes by itself: it is to review.

    Args:
        found: As :func:`decoupled_qc.apply.measures.measure` returns it.
        reference: ``reference.json``.
        oddities: What was seen in the scan's header and intensities already.
    """
    artefacts = reference["artefacts"]
    score = found["artefact_uncertainty"]
    dice, low, high = (float(value) for value in interval(found, reference["dice_model"], artefacts))
    decision = verdict(low, high, reference["decision"]["dice_cut"]).item()
    reasons = oddities + out_of_range(found, reference["input_ranges"])
    reasons += unlike_together(found, reference.get("kind_model"))
    ratio = reference["volume_model"]["ratio"]
    half_ml = math.nan if ratio is None else ratio * found["volume_scale_ml"]
    cause = named_cause(found, reference["cause_model"], artefacts)
    named = reference["cause_accuracy"]["named"][cause]
    among = percentiles(score, reference)
    return {
        "gm_volume_ml": found["gm_volume_ml"],
        "gm_volume_low_ml": max(found["gm_volume_ml"] - half_ml, 0.0) if half_ml == half_ml else math.nan,
        "gm_volume_high_ml": found["gm_volume_ml"] + half_ml,
        "task_uncertainty": found["task_uncertainty"],
        "artefact_uncertainty": score,
        **{f"uncertainty_{name}": found[f"uncertainty_{name}"] for name in artefacts},
        "predicted_dice": dice,
        "predicted_dice_low": low,
        "predicted_dice_high": high,
        "decision": REVIEW if reasons and decision == PASS else decision,
        "cause": cause,
        "cause_accuracy": math.nan if named["accuracy"] is None else named["accuracy"],
        "cause_accuracy_scans": named["n"],
        "cause_accuracy_subjects": reference["n_subjects"],
        "snr": found["snr"],
        "cnr": found["cnr"],
        "percentile_clean": among.pop(CLEAN),
        **{f"percentile_{name}_{band}": value for name, bands in among.items() for band, value in bands.items()},
        "nearest_severity": nearest_severity(score, reference, cause),
        "unlike_training": bool(reasons),
        "unlike_reason": "; ".join(reasons),
    }


def percentile(value: float, reference: list[float]) -> float:
    """Return the share of reference values below a value, 0 to 100; equal ones count half."""
    below, upto = np.searchsorted(reference, value, "left"), np.searchsorted(reference, value, "right")
    return float(100 * (below + upto) / 2 / len(reference))


def percentiles(score: float, reference: Mapping) -> dict:
    """Return where an artefact uncertainty lies among clean scans and in each artefact's bands of severity, 0 to 100.

    NaN in a band without a reference scan.
    """
    among = {
        name: {band: percentile(score, values) if values else math.nan for band, values in bands.items()}
        for name, bands in reference["severity"].items()
    }
    return {CLEAN: percentile(score, reference["clean"]["artefact_uncertainty"]), **among}


def nearest_severity(score: float, reference: Mapping, cause: str) -> str:
    """Return the band of the named cause, or ``clean``, whose median artefact uncertainty is nearest.

    Empty where the medians do not rise from band to band: the uncertainty then tells nothing of the severity.
    """
    bands = {CLEAN: reference["clean"]["artefact_uncertainty"], **reference["severity"].get(cause, {})}
    medians = {band: float(np.median(values)) for band, values in bands.items() if values}
    if any(weaker >= stronger for weaker, stronger in pairwise(medians.values())):
        return ""
    return min(medians, key=lambda band: abs(medians[band] - score))


def out_of_range(found: Mapping[str, float], ranges: Mapping) -> list[str]:
    """Return in words which properties lie outside those of the reference scans."""
    reasons = []
    for name, (low, high) in ranges.items():
        below, above = PLAIN_REASONS[name]
        value = found[name]
        if not math.isfinite(value):
            reasons.append(f"no {name.replace('_', ' ')} could be measured")
        elif not low <= value <= high:
            reasons.append((below if value < low else above).format(value))
    return reasons
