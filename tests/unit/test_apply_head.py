"""Where the head is does not depend on the air around it, whatever covers the scan."""

import numpy as np
import pytest
import torch
from phantom import SETTINGS, head

from decoupled_qc import artefacts
from decoupled_qc.apply.head import find_head
from decoupled_qc.cohort.volumes import bounding_box
from decoupled_qc.seeds import rng_for

SPACING_MM = 2.0


def box_of(image):
    return np.array([(side.start, side.stop) for side in bounding_box(find_head(image))])


@pytest.mark.parametrize("air", [0, 16])
@pytest.mark.parametrize(
    ("artefact", "severity"), [("noise", 0.3), ("noise", 0.6), ("noise", 0.9), ("spike", 0.1), ("spike", 1.0)]
)
def test_noise_and_stripes_in_the_air_are_not_taken_for_the_head(artefact, severity, air):
    clean = np.pad(head((80, 96, 88)).numpy(), air)
    record = artefacts.sample_record(
        artefact, severity, clean.shape, SPACING_MM, rng_for(3, "head"), SETTINGS[artefact], local_probability=0.0
    )
    worse = artefacts.corrupt(torch.from_numpy(clean), [record]).numpy()
    assert np.abs(box_of(worse) - box_of(clean)).max() <= 5  # voxels, of 80 or more
    there, found = find_head(clean), find_head(worse)
    assert 2 * (there & found).sum() / (there.sum() + found.sum()) > 0.85


def test_the_level_of_the_air_does_not_matter():
    clean = head((80, 96, 88)).numpy()
    assert np.array_equal(find_head(clean + 0.3), find_head(clean))


def test_without_air_in_view_nothing_is_cut_away():
    inner = head((80, 96, 88)).numpy()[28:52, 33:63, 30:58]
    assert (inner > 0).all() and (box_of(inner) == [(0, side) for side in inner.shape]).all()


def test_where_nothing_is_solid_there_is_no_head():
    assert not find_head(np.zeros((20, 20, 20), np.float32)).any()
