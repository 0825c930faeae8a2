"""Records and corrupted voxels as they were when the values were written down: the physics and the random stream stand still.

Whoever means to change either replaces the values in ``artefact_golden.json``, and says so: scans made before differ.
"""

import json
from pathlib import Path

import pytest
from phantom import head

from decoupled_qc import artefacts
from decoupled_qc.seeds import rng_for
from decoupled_qc.simulation.kspace import SPACE, magnitude, to_complex_image, to_kspace

GOLDEN = json.loads((Path(__file__).parent / "artefact_golden.json").read_text())
SHAPE = (21, 24, 20)
SPACING_MM = (2.0, 1.5, 3.0)
SEVERITY = 0.7
VOXELS = [(9, 13, 10), (13, 9, 8), (10, 12, 14)]


def record_and_summary(case, settings):
    """Return a completed record, and mean and standard deviation of |apply|, and real and imaginary part of three voxels."""
    name = case.partition("-")[0]
    image = head(SHAPE)
    rng = rng_for(0, "golden", case)
    record = artefacts.sample_record(name, SEVERITY, SHAPE, SPACING_MM, rng, settings, local_probability=0.5)
    (record,) = artefacts.complete(image, [record])
    module = artefacts.load(name)
    axes = () if module.DOMAIN == "image" else SPACE
    found = to_complex_image(module.apply(to_kspace(image, axes), record), axes)
    seen = magnitude(found)
    voxels = [complex(found[voxel]) for voxel in VOXELS]
    parts = [part for voxel in voxels for part in (voxel.real, voxel.imag)]
    return json.loads(json.dumps(record)), [float(seen.mean()), float(seen.std()), *parts]


def close(value):
    """Return what to compare with: whole numbers and text exactly, other numbers as far as another processor may round."""
    if isinstance(value, dict):
        return {key: close(each) for key, each in value.items()}
    if isinstance(value, list):
        return [close(each) for each in value]
    return pytest.approx(value, rel=1e-4, abs=1e-5) if isinstance(value, float) else value


@pytest.mark.parametrize("case", GOLDEN)
def test_record_and_scan_are_those_written_down(case):
    expected = GOLDEN[case]
    record, summary = record_and_summary(case, expected["settings"])
    assert record == close(expected["record"])
    assert summary == close(expected["summary"])
