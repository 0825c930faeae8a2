"""Deep grey matter and brainstem are taken from the average brain, and nothing else is."""

import numpy as np
import pytest

from decoupled_qc.cohort.deep import assign_deep_tissue, deep_regions

AFFINE = np.array([[1.0, 0, 0, -50], [0, 1, 0, -60], [0, 0, 1, -75], [0, 0, 0, 1]])
SHAPE = (101, 121, 121)


def average():
    """White everywhere, with faint grey where the putamen, a ventricle's rim, the insula and the brainstem are."""
    grey = np.zeros(SHAPE, np.float32)
    grey[72:82, 50:70, 73:85] = 0.35  # x 22 to 31, y -10 to 9, z -2 to 9
    grey[55:70, 80, 80:90] = 0.9  # one voxel thin
    grey[86:92, 50:70, 73:85] = 0.9  # x 36 to 41
    grey[45:55, 30:45, 30:50] = 0.45  # x -5 to 4, y -30 to -16, z -45 to -26
    return grey, 1 - grey


def test_what_is_deep_grey_or_brainstem():
    deep, stem = deep_regions(*average(), AFFINE)
    assert deep[74:80, 52:68, 75:83].all()
    assert deep[:, 80, 85:].sum() == 0 and deep[84:].sum() == 0 and deep[45:55, 30:45, 30:50].sum() == 0
    assert stem[45:55, 30:45, 30:50].all()
    assert not (deep * stem).any()


def test_only_grey_and_white_change_places_and_fluid_stays():
    rng = np.random.default_rng(0)
    fractions = rng.dirichlet([1, 1, 1], SHAPE).transpose(3, 0, 1, 2).astype(np.float32)
    regions = np.zeros((2, *SHAPE), np.float32)
    regions[0, :20], regions[1, 20:40], regions[0, 40:60] = 1, 1, 0.5
    fluid, grey, white = assign_deep_tissue(fractions, regions)
    assert np.array_equal(fluid, fractions[0])
    assert (fluid + grey + white) == pytest.approx(1, abs=1e-6)
    assert not white[:20].any() and not grey[20:40].any()
    assert white[40:60] == pytest.approx(fractions[2, 40:60] / 2)
    assert np.array_equal(grey[60:], fractions[1, 60:])
