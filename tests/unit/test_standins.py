import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from phantom import error, head

from decoupled_qc.artefacts import motion
from decoupled_qc.errors import InputError
from decoupled_qc.simulation import standins

SCHEMA = Path(__file__).parents[2] / "workflow/schemas/config.schema.yaml"
every_simulator = pytest.mark.parametrize("name", standins.SIMULATORS)


def made(name, severity=0.7, seed=0, image=None):
    return standins.stand_in(head() if image is None else image, {"artefact": name, "severity": severity, "seed": seed})


@every_simulator
def test_magnitude_of_the_same_shape_in_range(name):
    scan = made(name)
    assert scan.shape == head().shape and scan.dtype == torch.float32
    assert scan.isfinite().all()
    assert scan.min() == 0 and scan.max() == 1


@every_simulator
def test_same_record_same_bits_and_no_global_generator_moves(name):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = made(name)
    assert torch.equal(first, made(name))
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


@every_simulator
def test_damage_goes_from_slight_to_heavy(name):
    image = head()
    errors = [[error(made(name, severity, seed), image) for seed in range(6)] for severity in (0.05, 0.5, 1.0)]
    assert np.min(errors) > 1e-4  # whatever the seed, something happens
    slight, middling, heavy = np.mean(errors, axis=1)
    assert slight < middling < heavy
    assert heavy > 2 * slight


def test_motion_turns_the_head_about_its_centre():
    """About a corner, a turn would carry the head far away: the strength would be that of the header, not of the record."""
    image = head()
    shifts = [motion.inspect(image, made("torchio-motion", 0.3, seed))["residual_shift_voxels"] for seed in range(8)]
    assert np.median(shifts) < 1


def test_simulators_take_turns_and_each_scan_can_be_made_again():
    image = head((16, 20, 18))
    names = list(standins.SIMULATORS)
    scans = [
        scan for number in range(4) for scan in standins.stand_ins(image, f"sub-{number}", number, names, 3, seed=7)
    ]
    used = [scan.artefact for scan in scans]
    assert used.count("none") == 4
    assert {used.count(name) for name in names} == {2}
    assert len({scan.severity for scan in scans if scan.artefact != "none"}) == 12
    for scan in scans:
        row = pd.Series({"records": json.dumps(scan.records)})
        assert torch.equal(standins.remake(row, image), scan.image)


def test_a_subjects_scans_do_not_depend_on_who_else_is_there():
    image = head((16, 20, 18))
    alone = standins.stand_ins(image, "sub-2", 1, ["torchio-noise", "monai-spike"], 2, seed=7)
    others_first = standins.stand_ins(image, "sub-1", 0, ["torchio-noise", "monai-spike"], 2, seed=7)
    again = standins.stand_ins(image, "sub-2", 1, ["torchio-noise", "monai-spike"], 2, seed=7)
    assert [scan.records for scan in alone] == [scan.records for scan in again]
    assert not {json.dumps(scan.records) for scan in alone[1:]} & {
        json.dumps(scan.records) for scan in others_first[1:]
    }


def test_unknown_simulator_is_refused():
    with pytest.raises(InputError, match="'torchio-swap'.*torchio-motion"):
        made("torchio-swap")


def test_the_schema_names_every_simulator_so_that_another_name_stops_before_any_training():
    stand_ins = yaml.safe_load(SCHEMA.read_text())["properties"]["test"]["properties"]["stand_ins"]
    assert stand_ins["properties"]["simulators"]["items"]["enum"] == list(standins.SIMULATORS)
