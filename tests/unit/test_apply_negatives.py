"""What no one should trust, given to the weights in the package: it is told that it is unlike all that they know."""

from functools import cache

import numpy as np
import pytest
from shared_data import SHARED

import decoupled_qc
from decoupled_qc.scans import read_scan

BRAIN = SHARED / "ds002748/sub-01/anat/sub-01_T1w.nii.gz"
COARSE = np.diag([2.2, 2.2, 2.2, 1.0])
SIDE = 72

pytestmark = pytest.mark.slow
needs_brain = pytest.mark.skipif(not BRAIN.is_file(), reason="DECOUPLED_QC_SHARED_DATA holds no ds002748")


def noise():
    return np.abs(np.random.default_rng(0).normal(0, 100, (SIDE,) * 3)), COARSE


def ball():
    axes = np.meshgrid(*[np.arange(SIDE) - SIDE / 2] * 3, indexing="ij")
    inside = sum(axis**2 for axis in axes) < 32**2
    return 500.0 * inside + np.abs(np.random.default_rng(0).normal(0, 10, inside.shape)), COARSE


def brain():
    scan = read_scan(BRAIN)
    return scan.image.numpy(), scan.file.affine


def inverted():
    values, affine = brain()
    inside = values > 0.05
    return np.where(inside, values[inside].max() - values, 0), affine


def lower_half():
    values, affine = brain()
    upwards = int(np.argmax(np.abs(affine[2, :3])))
    held = np.flatnonzero((values > 0.1).any(axis=tuple(axis for axis in range(3) if axis != upwards)))
    middle = (held[0] + held[-1]) // 2
    kept = [slice(None)] * 3
    kept[upwards] = slice(0, middle) if affine[2, upwards] > 0 else slice(middle, None)
    return values[tuple(kept)], affine


NO_WHOLE_BRAINS = [noise, ball, *(pytest.param(make, marks=needs_brain) for make in (inverted, lower_half))]


@cache
def row(make):
    values, affine = make()
    return decoupled_qc.predict(np.asarray(values, dtype=np.float32), affine=affine).row


def told(make):
    found = row(make)
    dice, volume = f"{found['predicted_dice']:.2f}", f"{found['gm_volume_ml']:.0f} mL"
    return f"{found['decision']}, predicted Dice {dice}, {volume}: {found['unlike_reason']}"


@pytest.mark.parametrize("make", NO_WHOLE_BRAINS)
def test_what_is_no_whole_t1_weighted_brain_is_told(make):
    assert row(make)["unlike_training"], told(make)
    assert row(make)["decision"] != "pass", told(make)


@needs_brain
def test_a_brain_is_not_unlike_the_training_data():
    assert row(brain)["unlike_reason"] == ""
