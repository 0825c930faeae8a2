"""Every key of the configuration misspelt, of a wrong type, or no number: refused in one sentence that names it."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tally import assert_clear, case, left_in, refused, search

from decoupled_qc import artefacts
from decoupled_qc.configuration import check_config
from decoupled_qc.errors import InputError
from decoupled_qc.seeds import rng_for
from decoupled_qc.settings import artefact_settings, try_settings

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"
CONFIG = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
# Names that the user gives, not keys: any is taken, and checked where it is used.
OWN_NAMES = [("artefacts",), ("variants",), ("baselines",), ("test", "sweeps"), ("cohort", "anatomies")]


def blocks(config: dict, place: tuple = ()) -> Iterator[tuple]:
    """Yield where each mapping lies."""
    yield place
    for key, value in config.items():
        if isinstance(value, dict):
            yield from blocks(value, (*place, key))


def keys() -> list[tuple]:
    """Return where each key with a schema of its own lies."""
    places = [place for place in blocks(CONFIG) if place not in OWN_NAMES and place[:1] != ("artefacts",)]
    return [(*place, key) for place in places for key in at(CONFIG, place)]


def at(config: dict, place: tuple):
    for key in place:
        config = config[key]
    return config


def refusal(config: dict) -> str | None:
    try:
        check_config(config, [], SCHEMA)
    except InputError as error:
        assert_clear(str(error))
        return str(error)
    return None


def test_the_configuration_as_it_is_can_be_used():
    assert refusal(CONFIG) is None


def test_every_misspelt_key_is_refused_with_the_one_that_was_meant():
    for place in keys():
        with case("configs: misspelt keys"):
            config = copy.deepcopy(CONFIG)
            block = at(config, place[:-1])
            block[f"{place[-1]}s"] = block.pop(place[-1])
            said = refusal(config)
            assert said and (f"'{place[-1]}s'" in said or f"'{place[-1]}'" in said), (place, said)


def type_of(value: object) -> type:
    """Return a value's type; whole numbers are numbers."""
    return float if type(value) is int else type(value)


WRONG = [None, True, "many", -1, [], {}, float("nan"), float("inf"), [[1]], {"a": 1}, 0.5, 10**40, -1e308]


@search(150)
@given(place=st.sampled_from(keys()), value=st.sampled_from(WRONG))
def test_a_value_of_another_type_or_without_end_is_refused_with_its_key(place, value):
    config, before = copy.deepcopy(CONFIG), at(CONFIG, place)
    at(config, place[:-1])[place[-1]] = value
    with case("configs: wrong values"):
        said = refusal(config)
        endless = value != value or value == float("inf")
        optional = before is None and value in ("many", 10**40)  # a text or a number, which may be left out
        if endless or (type_of(value) != type_of(before) and not optional):
            assert said, (place, value)
        assert said is None or str(place[-1]) in said or ".".join(map(str, place[:-1])) in said, (place, said)


SETTINGS = [(name, key) for name, block in artefact_settings().items() for key in block]
BAD_SETTINGS = [
    None,
    True,
    "x",
    "",
    [],
    {},
    [1],
    [[1, 2]],
    float("nan"),
    [float("inf"), 1],
    -1,
    0,
    [0, 0],
    1e300,
    [-1e300, 1e300],
]


SCAN = torch.from_numpy(np.random.default_rng(0).uniform(0, 1, (8, 9, 10)).astype(np.float32))


def taken(name, key, value):
    """Say whether a setting of an artefact is taken; if not, it is refused in a sentence that names the artefact."""
    try:
        try_settings(name, {**artefact_settings()[name], key: value})
    except InputError as error:
        assert_clear(str(error), f"artefacts.{name}")
        return False
    return True


def is_of_its_kind(value, good):
    """Say whether a setting is what the configuration has there: text, a number, a pair, or up to three probabilities."""
    if type_of(value) != type_of(good) or not isinstance(good, list):
        return type_of(value) == type_of(good)
    return len(value) == len(good) or (len(good) == 3 and 0 < len(value) < 3)


@pytest.mark.parametrize(("name", "key"), SETTINGS)
def test_a_wrong_setting_of_an_artefact_is_refused_or_is_one_of_its_kind(name, key):
    good = artefact_settings()[name][key]
    for value in BAD_SETTINGS:
        with case("configs: settings of artefacts"):
            assert not taken(name, key, value) or is_of_its_kind(value, good), (name, key, value)


@pytest.mark.parametrize(("name", "key"), SETTINGS)
def test_a_setting_that_is_taken_makes_a_record_and_a_finite_scan_of_the_whole_range(name, key):
    for value in filter(lambda value: taken(name, key, value), BAD_SETTINGS):
        settings = {**artefact_settings()[name], key: value}
        for severity, seed in [(1e-3, 0), (0.5, 0), (1.0, 0), (1.0, 1), (1.0, 2)]:
            with case("configs: settings of artefacts"):
                rng = rng_for(seed, name)
                record = artefacts.sample_record(name, severity, SCAN.shape, 1.0, rng, settings, local_probability=0.0)
                assert json.loads(json.dumps(record, allow_nan=False)) == record, (name, key, value)
                scan = artefacts.corrupt(SCAN, [record])
                assert scan.isfinite().all() and (scan.min(), scan.max()) == (0, 1), (name, key, value)


TRICKS = {
    "twice.yaml": "run: one\nrun: two\n",
    "deep.yaml": "training:\n  beta: 0.5\n  halvings: 2\n  beta: 0.1\n",
    "tab.yaml": "run:\n\tone\n",
    "cut.yaml": "cohort: {spacing_mm: [1",
    "call.yaml": "run: !!python/object/apply:os.system ['touch PWNED']\n",
    "name.yaml": "run: !!python/name:os.system\n",
    "binary.yaml": "\x00\x01",
    "two.yaml": "run: one\n---\nrun: two\n",
    "unhashable.yaml": "? [1, 2]\n: 3\n",
}


@pytest.mark.parametrize("name", TRICKS)
def test_tricks_of_yaml_are_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text(TRICKS[name].replace("PWNED", str(tmp_path / "pwned")))
    with case("configs: tricks of YAML"):
        with pytest.raises(InputError, match=name) as told:
            check_config(CONFIG, [tmp_path / name], SCHEMA)
        assert_clear(str(told.value), tmp_path / name)
        assert left_in(tmp_path) == [name]


OVERLAYS = {
    "list": "[1, 2]",
    "text": "artefacts",
    "empty": "",
    "number": "artefacts: {noise: 5}",
    "names": "artefacts: {1: {2: 3}}",
    "itself": "artefacts: &a {noise: *a}",
    "nan": "artefacts: {noise: {snr_db: [.nan, 1]}}",
    "short": "artefacts: {noise: {snr_db: [1]}}",
    "kind": "artefacts: {noise: {snr_db: loud}}",
    "mask": "artefacts: {noise: {signal_mask: [volume]}}",
    "huge": "artefacts: {noise: {snr_db: [-1.0e+30, -1.0e+30]}}",
    "call": "artefacts: !!python/object/apply:os.system ['touch PWNED']",
    "deep": "artefacts: " + "[" * 3000,
    "loud": "artefacts: {noise: {snr_db: [-800, -800]}}",
    "latin": "artefacts: {noise: {signal_mask: h\u00e9ad}}",
}


@pytest.mark.parametrize("name", OVERLAYS)
def test_settings_of_the_simulator_that_cannot_be_used(tmp_path, scan_file, name):
    text = OVERLAYS[name].replace("PWNED", str(tmp_path / "pwned"))
    (tmp_path / "mine.yaml").write_bytes(text.encode("latin-1"))
    mine, out = tmp_path / "mine.yaml", tmp_path / "o.nii"
    with case("configs: overlays of the simulator"):
        said = refused("simulate", scan_file, "--artefact", "noise", "--config", mine, "--out", out)
        assert any(named in said for named in (str(mine), "artefacts.noise", "artefact '1'")), said
        assert left_in(tmp_path) == ["mine.yaml"]
