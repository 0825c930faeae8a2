"""What a row of predictions.csv says, in words and numbers for people."""

import math
from collections.abc import Mapping

from decoupled_qc.causes import NO_ARTEFACT

DECISIONS = {"pass": "Pass", "review": "Review", "fail": "Fail"}


def number(value: object, digits: int = 2, unit: str = "") -> str:
    """Return a number for reading, or a dash where there is none.

    Args:
        value: Of a table.
        digits: Decimals; below 0 significant digits, of a quantity whose size varies.
        unit: Put behind it.
    """
    found = as_float(value)
    if found is None:
        return "–"
    text = f"{found:.{digits}f}" if digits >= 0 else f"{found:.{-digits}g}"
    return text.replace("-", "−") + (f" {unit}" if unit else "")


def as_float(value: object) -> float | None:
    """Return a finite number, or None."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def as_bool(value: object) -> bool:
    """Return what a table wrote for a truth value."""
    return str(value).strip().lower() in ("true", "1", "1.0", "yes")


def text(value: object) -> str:
    """Return a text of a table, empty where there is none."""
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else str(value)


def interval(row: Mapping, low: str, high: str, digits: int) -> str:
    """Return a range such as ``0.62 to 0.80``, or nothing."""
    if as_float(row.get(low)) is None or as_float(row.get(high)) is None:
        return ""
    return f"{number(row[low], digits)} to {number(row[high], digits)}"


def verdict(row: Mapping) -> str:
    """Return the verdict on a scan: decision, predicted Dice with interval, most likely cause, how often it is right."""
    decision = DECISIONS.get(text(row.get("decision")), "No decision")
    dice = f"predicted grey-matter Dice {number(row.get('predicted_dice'))}"
    if span := interval(row, "predicted_dice_low", "predicted_dice_high", 2):
        dice += f" ({span})"
    cause = text(row.get("cause"))
    of_what = "most likely artefact, if any" if decision == DECISIONS["pass"] else "most likely cause"
    named = "no artefact stands out" if cause in ("", NO_ARTEFACT) else f"{of_what}: {cause}"
    return f"{decision}: {dice}; {named}{_how_sure(row)}."


def _how_sure(row: Mapping) -> str:
    """Return how often what is named was right on validation scans, and on how many."""
    accuracy, scans, subjects = (as_float(row.get(f"cause_accuracy{part}")) for part in ("", "_scans", "_subjects"))
    if scans is None or subjects is None:
        return ""
    if accuracy is None:
        return f" (never named on validation scans, of {subjects:.0f} subjects)"
    share, of_subjects = f"{100 * accuracy:.0f} %", f"of {subjects:.0f} subjects"
    if text(row.get("cause")) in ("", NO_ARTEFACT):  # artefacts too weak to stand out are so called too
        return f" ({share} of the {scans:.0f} validation scans so called held none, {of_subjects})"
    return f" (right for {share} of the {scans:.0f} validation scans so named, {of_subjects})"
