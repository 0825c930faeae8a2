"""A model folder's reference from strangers: refused in one sentence that names the key, or a verdict and a page follow."""

import copy
import json
import math
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tally import assert_clear, case, search

from decoupled_qc.apply.folder import open_model
from decoupled_qc.apply.output import columns
from decoupled_qc.apply.verdict import judge, percentiles
from decoupled_qc.errors import InputError
from decoupled_qc.report import bands, wording

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from scan_measures import scan  # noqa: E402
from tiny_model import write_tiny_model  # noqa: E402

# Only a model card that is written anew shows these, of a run's own reference: they reach no verdict and no page.
CARD_ALONE = {("cause_accuracy", name) for name in ("overall", "if_forced", "n", "confusion")}
CARD_ALONE |= {("volume_model", "scale")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def good(folder):
    return json.loads((folder / "reference.json").read_text())


def places(block, place=()):
    """Yield where each key lies, and the first number of each list."""
    for key, value in block.items() if isinstance(block, dict) else [(0, block[0])]:
        yield (*place, key)
        if isinstance(value, dict) or (isinstance(value, list) and value):
            yield from places(value, (*place, key))


def at(block, place):
    for key in place:
        block = block[key]
    return block


def refusal(folder, reference):
    """Return why a reference is refused; None if it is taken, and all that rests on it can be said."""
    (folder / "reference.json").write_text(json.dumps(reference))
    try:
        taken = open_model(folder).reference
    except InputError as error:
        assert_clear(str(error), folder / "reference.json")
        return str(error)
    for noise in (1e-9, 0.02, 5.0):
        row = judge(scan(noise=noise), taken, [])
        assert set(row) <= set(columns(taken)) and wording.verdict(row)
        percentiles(row["artefact_uncertainty"], taken)
        bands.score_rows(row, taken), bands.severity_strips(row, taken), bands.dimming(row, taken)
    return None


def test_every_key_that_a_verdict_rests_on_is_missed_by_name(folder, good):
    ranges = {("input_ranges", name) for name in good["input_ranges"]}  # any of them may be left out
    for place in places(good):
        spare = place in ranges or place[:2] == ("cause_accuracy", "confusion") or place == ("kind_model",)
        if place[-1] == 0 or spare or place in CARD_ALONE:
            continue
        with case("models: missing keys"):
            changed = copy.deepcopy(good)
            del at(changed, place[:-1])[place[-1]]
            said = refusal(folder, changed)
            assert said and any(str(key) in said for key in place), (place, said)


WRONG = [None, True, "x", "", -1, 7, 1e300, -1e300, 10**400, [], [None], [2, 1], ["a"], {}, {"a": 1}, [[1.0]]]
WRONG += [float("nan"), float("inf"), [float("nan")], [0.5] * 100_001]


def may_be_null(place):
    """Say whether a value may be null: too few subjects gave one."""
    return (
        place == ("kind_model",)
        or place[-1] == "ratio"
        or (place[:2] == ("cause_accuracy", "named") and place[-1] == "accuracy")
    )


def kind_of(value):
    """Return what JSON knows of a value's type, and of the values of a list."""
    if isinstance(value, list):
        return list, frozenset(kind_of(one) for one in value)
    return float if type(value) is int else type(value)


def is_endless(value):
    """Say whether a number, or one in a list, is infinite or none."""
    numbers = value if isinstance(value, list) else [value]
    return any(isinstance(one, float) and not math.isfinite(one) for one in numbers)


@search(300)
@given(data=st.data())
def test_a_value_of_another_type_or_without_end_is_refused_and_any_other_gives_a_verdict(folder, good, data):
    place = data.draw(st.sampled_from(list(places(good))))
    changed, value = copy.deepcopy(good), data.draw(st.sampled_from(WRONG))
    before = at(good, place)
    at(changed, place[:-1])[place[-1]] = value
    with case("models: wrong values"):
        said = refusal(folder, changed)
        emptied = value == [] and isinstance(before, list)  # a band without scans, or a measure that no scan has
        null = value is None and may_be_null(place)
        if not null and not emptied and place[:2] not in CARD_ALONE:
            assert said or (kind_of(value) == kind_of(before) and not is_endless(value)), (place, value)


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        (("clean", "snr"), [float("nan")], "'clean.snr' has a value that is no finite number"),
        (("clean", "snr"), [1.0] * 200_000, "'clean.snr' has 200000 numbers, more than 100000"),
        (("clean", "snr"), [2.0, 1.0], "'clean.snr' does not rise"),
        (("clean", "uncertainty_blur"), [], "'clean.uncertainty_blur' has 0 numbers, fewer than 1"),
        (("severity",), {"noise": {}}, "'severity.blur' is missing"),
        (("severity", "eddy"), {}, "'severity' is of other artefacts"),
        (("severity", "blur"), {"0-1": [1.0]}, "other bands"),
        (("severity", "noise"), {"<b>": [1.0]}, "bands such as"),
        (("dice_model", "weights"), [-0.5], "'dice_model.weights' has 1 numbers, not 3"),
        (("dice_model", "weights"), [-0.5, 0.1, 0], "'dice_model.weights' has a number above 0, so that more of a"),
        (("dice_model", "low"), [-0.1, 0], "'dice_model.low' has a number below 0"),
        (("dice_model", "low"), [99, 99], "'dice_model.low' has a number above that of 'dice_model.high'"),
        (("dice_model", "ratio"), "wide", "'dice_model.ratio' is no finite number"),
        (("volume_model", "ratio"), -1, "'volume_model.ratio' is -1, outside 0"),
        (("cause_model", "functions"), {"none": {}}, "'cause_model.functions' is no JSON object of none and the"),
        (
            ("cause_model", "functions", "blur", "weights"),
            [1.0],
            "'cause_model.functions.blur.weights' has 1 numbers, not 2",
        ),
        (("cause_model", "threshold"), None, "'cause_model.threshold' is no finite number"),
        (("cause_accuracy", "named", "blur", "n"), 1.5, "'cause_accuracy.named.blur.n' is no whole number"),
        (("input_ranges", "magic"), [0, 1], "'input_ranges.magic' is no property"),
        (("input_ranges", "snr"), None, "no property"),
        (("kind_model",), [], "'kind_model' is no JSON object with measures"),
        (("kind_model", "measures"), ["snr"], "'kind_model.measures' are not gm_volume_ml, head_ml"),
        (("kind_model", "mean"), [1.0], "'kind_model.mean' has 1 numbers, not 10"),
        (("kind_model", "sd"), [0] * 10, "'kind_model.sd' has a number that is not above 0"),
        (("kind_model", "precision"), [[1.0]], "'kind_model.precision' is no list of 10 rows"),
        (("kind_model", "precision"), [[1.0]] * 10, "'kind_model.precision.0' has 1 numbers, not 10"),
        (("kind_model", "precision"), [None] * 10, "'kind_model.precision.0' is no list"),
        (("kind_model", "threshold"), -1, "'kind_model.threshold' is -1, outside 0"),
        (("n_subjects",), 0, "'n_subjects' is no whole number of 1 or more"),
        (("format",), [0] * 100_000, "format is"),
        (("artefacts",), ["noise", "spike"], "it is of other artefacts"),
        (("decision", "dice_cut"), 7, "'decision.dice_cut' is 7, outside 0 to 1"),
    ],
)
def test_what_is_wrong_is_said(folder, good, place, value, reason):
    changed = copy.deepcopy(good)
    at(changed, place[:-1])[place[-1]] = value
    with case("models: wrong values"):
        assert reason in refusal(folder, changed)


# The peak of the child's own memory so far: ru_maxrss would begin at its parent's, which other tests may have made large.
OPEN = """
import sys
from pathlib import Path
from decoupled_qc.apply.folder import open_model
from decoupled_qc.errors import InputError
for folder in sys.argv[1:]:
    try:
        open_model(folder)
        said = "taken"
    except InputError as error:
        said = str(error)
    lines = Path("/proc/self/status").read_text().splitlines()
    print(next(line.split()[1] for line in lines if line.startswith("VmHWM")), said)
"""
SPARE_MB = 200  # what is claimed below takes a gigabyte and more


def claim_channels(*channels):
    """Return what makes a card claim a network of many weights, whose windows are small enough."""

    def change(folder):
        card = json.loads((folder / "model.json").read_text())
        card["network"]["channels"] = channels
        card["inference"]["batch_size"] = 1
        (folder / "model.json").write_text(json.dumps(card))

    return change


def claim_tensor(n_values, n_bytes):
    """Return what makes weights claim one huge tensor, in a file of a size that takes no space on the disk."""

    def change(folder):
        value = {"dtype": "F32", "shape": [n_values], "data_offsets": [0, 4 * n_values]}
        header = json.dumps({"task.weight": value}).encode()
        with (folder / "weights.safetensors").open("wb") as file:
            file.write(struct.pack("<Q", len(header)) + header)
            file.truncate(8 + len(header) + n_bytes)

    return change


def claim_header(n_bytes):
    """Return what makes weights claim a huge header."""

    def change(folder):
        weights = folder / "weights.safetensors"
        weights.write_bytes(struct.pack("<Q", n_bytes) + weights.read_bytes()[8:])

    return change


TOO_LARGE = "model.json describes a network of more than 500000000 weights"
ANOTHER = "weights.safetensors does not fit the network in model.json"
UNREADABLE = "weights.safetensors cannot be read as safetensors"
CLAIMS = {  # what is changed in a good folder, and why it is refused
    "card of 2.6e9 weights": (claim_channels(4000, 4096), TOO_LARGE),
    "card of 3.2e8 weights": (claim_channels(1400, 1400), ANOTHER),
    "tensor of 1 GiB": (claim_tensor(2**28, 2**30), ANOTHER),
    "tensor of 4 TiB": (claim_tensor(2**40, 4), UNREADABLE),
    "header of 1 PiB": (claim_header(2**50), UNREADABLE),
    "header of 90 MB": (claim_header(90_000_000), UNREADABLE),
}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells a process's own peak")
def test_what_a_folder_claims_takes_no_memory(tmp_path):
    folders = [write_tiny_model(tmp_path / "good")]
    for name, (change, _) in CLAIMS.items():
        folders.append(write_tiny_model(tmp_path / name))
        change(folders[-1])
    answer = subprocess.run([sys.executable, "-c", OPEN, *folders], capture_output=True, text=True, check=True)
    good, *others = [line.split(" ", maxsplit=1) for line in answer.stdout.splitlines()]
    assert good[1] == "taken"
    for (name, (_, reason)), (peak, said) in zip(CLAIMS.items(), others, strict=True):
        with case("models: memory"):
            assert_clear(said, tmp_path / name)
            assert reason in said, name
            assert int(peak) - int(good[0]) < SPARE_MB * 1000, name  # of kB
