"""Whether a reference from anyone can be what it says: every number that a verdict or a page rests on."""

import re
import sys
from collections.abc import Iterator, Mapping
from itertools import pairwise

from decoupled_qc.apply.kind import kind_measures
from decoupled_qc.apply.verdict import PLAIN_REASONS
from decoupled_qc.causes import NO_ARTEFACT

FORMAT = 4  # of model.json and reference.json
BANDED = ("artefact_uncertainty", "task_uncertainty", "gm_volume_ml", "snr", "cnr")  # and each artefact's own
MAX_VALUES = 100_000  # of one list: validation scans are hundreds
MAX_BANDS = 100
PER_ARTEFACT = ("low", "high")  # of each variance in the curve of Dice
BAND = re.compile(r"[0-9][0-9.e-]{0,30}")  # such as 0.25-0.5, which becomes a column's name
COUNTS = ("n_scans", "n_subjects", "n_anatomies")


def is_number(value: object) -> bool:
    """Say whether a value of JSON's is a finite number; a whole one may be larger than any float is."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def problems_of_reference(reference: Mapping, artefacts: list[str], sha256: object) -> Iterator[str]:
    """Yield what is wrong with ``reference.json``; only the first is meant to be read, since later checks rest on it.

    Args:
        reference: As read.
        artefacts: Of the model, checked.
        sha256: That ``model.json`` gives for the weights.
    """
    for key in ("format", "artefacts", "sha256", *COUNTS, "level"):
        if key not in reference:
            yield f"'{key}' is missing"
    if reference["format"] != FORMAT:
        yield f"format is {reference['format']!r}, not {FORMAT}"
    if reference["artefacts"] != artefacts:
        yield "it is of other artefacts than model.json"
    if reference["sha256"] != sha256:
        yield "it was made with other weights than model.json names"
    for key in COUNTS:
        yield from _count(key, reference[key], 1)
    yield from _number("level", reference["level"], 0, 1)
    blocks = {
        "clean": [*BANDED, *(f"uncertainty_{name}" for name in artefacts)],
        "severity": artefacts,
        "cause_model": ["functions", "threshold"],
        "cause_accuracy": ["named"],
        "dice_model": [*PER_ARTEFACT, "weights", "offset", "ratio"],
        "volume_model": ["ratio"],
        "decision": ["dice_cut", "error_rate"],
        "input_ranges": [],
    }
    for block, keys in blocks.items():
        if not isinstance(reference.get(block), dict):
            yield f"'{block}' is missing or no JSON object"
        for key in keys:
            if key not in reference[block]:
                yield f"'{block}.{key}' is missing"
    yield from _of_scores(reference["clean"], reference["severity"], artefacts)
    yield from _of_cause_model(reference["cause_model"], artefacts)
    yield from _of_causes(reference["cause_accuracy"], artefacts)
    yield from _of_models(reference["dice_model"], reference["volume_model"], reference["decision"], len(artefacts))
    yield from _of_ranges(reference["input_ranges"])
    if reference.get("kind_model") is not None:  # one made before there was any, or of too few subjects
        yield from _of_kind(reference["kind_model"], artefacts)


def _of_scores(clean: Mapping, severity: Mapping, artefacts: list[str]) -> Iterator[str]:
    for name, values in clean.items():
        needed = name == "artefact_uncertainty" or name.startswith("uncertainty_")
        yield from _sorted_numbers(f"clean.{name}", values, at_least=int(needed))
    if set(severity) != set(artefacts):
        yield "'severity' is of other artefacts than model.json"
    for name, bands in severity.items():
        if not isinstance(bands, dict) or len(bands) > MAX_BANDS or not all(map(BAND.fullmatch, bands)):
            yield f"'severity.{name}' is no JSON object of up to {MAX_BANDS} bands such as 0-0.5"
        if list(bands) != list(severity[artefacts[0]]):
            yield f"'severity.{name}' has other bands than 'severity.{artefacts[0]}'"
        for band, values in bands.items():
            yield from _sorted_numbers(f"severity.{name}.{band}", values)


def _of_cause_model(model: Mapping, artefacts: list[str]) -> Iterator[str]:
    yield from _number("cause_model.threshold", model["threshold"])
    functions = model["functions"]
    if not isinstance(functions, dict) or set(functions) != {NO_ARTEFACT, *artefacts}:
        yield "'cause_model.functions' is no JSON object of none and the artefacts of model.json"
    for kind, one in functions.items():
        key = f"cause_model.functions.{kind}"
        if not isinstance(one, dict) or not {"weights", "offset"} <= set(one):
            yield f"'{key}' is no JSON object with weights and offset"
        yield from _numbers(f"{key}.weights", one["weights"])
        if len(one["weights"]) != len(artefacts):
            yield f"'{key}.weights' has {len(one['weights'])} numbers, not {len(artefacts)}"
        yield from _number(f"{key}.offset", one["offset"])


def _of_causes(found: Mapping, artefacts: list[str]) -> Iterator[str]:
    named = found["named"]
    if not isinstance(named, dict) or set(named) != {NO_ARTEFACT, *artefacts}:
        yield "'cause_accuracy.named' is no JSON object of none and the artefacts of model.json"
    for cause, one in named.items():
        if not isinstance(one, dict) or not {"accuracy", "n"} <= set(one):
            yield f"'cause_accuracy.named.{cause}' is no JSON object with accuracy and n"
        yield from _count(f"cause_accuracy.named.{cause}.n", one["n"], 0)
        if one["accuracy"] is not None:
            yield from _number(f"cause_accuracy.named.{cause}.accuracy", one["accuracy"], 0, 1)


def _of_models(dice: Mapping, volume: Mapping, decision: Mapping, n_artefacts: int) -> Iterator[str]:
    for key, n in (*((key, n_artefacts) for key in PER_ARTEFACT), ("weights", n_artefacts + 1)):
        yield from _numbers(f"dice_model.{key}", dice[key])
        if len(dice[key]) != n:
            yield f"'dice_model.{key}' has {len(dice[key])} numbers, not {n}"
    if any(low < 0 for low in dice["low"]):
        yield "'dice_model.low' has a number below 0"
    if any(weight > 0 for weight in dice["weights"]):
        yield "'dice_model.weights' has a number above 0, so that more of a variance would raise the Dice"
    if any(low > high for low, high in zip(dice["low"], dice["high"], strict=True)):
        yield "'dice_model.low' has a number above that of 'dice_model.high'"
    yield from _number("dice_model.offset", dice["offset"])
    for key, value in (("dice_model.ratio", dice["ratio"]), ("volume_model.ratio", volume["ratio"])):
        if value is not None:  # too few subjects to give one
            yield from _number(key, value, 0)
    for key in ("dice_cut", "error_rate"):
        yield from _number(f"decision.{key}", decision[key], 0, 1)


def _of_ranges(ranges: Mapping) -> Iterator[str]:
    for name, ends in ranges.items():
        if name not in PLAIN_REASONS:
            yield f"'input_ranges.{name}' is no property that is measured"
        yield from _sorted_numbers(f"input_ranges.{name}", ends, at_least=2)
        if len(ends) != 2:
            yield f"'input_ranges.{name}' is not two numbers"


def _of_kind(model: object, artefacts: list[str]) -> Iterator[str]:
    if not isinstance(model, dict) or not {"measures", "mean", "sd", "precision", "threshold"} <= set(model):
        yield "'kind_model' is no JSON object with measures, mean, sd, precision and threshold"
    names = kind_measures(artefacts)
    if model["measures"] != names:
        yield f"'kind_model.measures' are not {', '.join(names)}"
    rows = model["precision"]
    if not isinstance(rows, list) or len(rows) != len(names):
        yield f"'kind_model.precision' is no list of {len(names)} rows"
    lists = {"mean": model["mean"], "sd": model["sd"], **{f"precision.{n}": row for n, row in enumerate(rows)}}
    for key, values in lists.items():
        yield from _numbers(f"kind_model.{key}", values)
        if len(values) != len(names):
            yield f"'kind_model.{key}' has {len(values)} numbers, not {len(names)}"
    if not all(sd > 0 for sd in model["sd"]):
        yield "'kind_model.sd' has a number that is not above 0"
    yield from _number("kind_model.threshold", model["threshold"], 0)


def _sorted_numbers(key: str, values: object, *, at_least: int = 0) -> Iterator[str]:
    yield from _numbers(key, values)
    if len(values) < at_least:
        yield f"'{key}' has {len(values)} numbers, fewer than {at_least}"
    if any(low > high for low, high in pairwise(values)):
        yield f"'{key}' does not rise"


def _numbers(key: str, values: object) -> Iterator[str]:
    if not isinstance(values, list):
        yield f"'{key}' is no list"
    if len(values) > MAX_VALUES:
        yield f"'{key}' has {len(values)} numbers, more than {MAX_VALUES}"
    if not all(map(is_number, values)):
        yield f"'{key}' has a value that is no finite number"


def _number(
    key: str, value: object, low: float = -sys.float_info.max, high: float = sys.float_info.max
) -> Iterator[str]:
    if not is_number(value):
        yield f"'{key}' is no finite number"
    if not low <= value <= high:
        yield f"'{key}' is {value}, outside {low:g} to {high:g}"


def _count(key: str, value: object, low: int) -> Iterator[str]:
    if type(value) is not int or not low <= value <= sys.maxsize:
        yield f"'{key}' is no whole number of {low} or more"
