"""What is measured on a scan and its maps."""

import numpy as np
import pytest
import torch

from decoupled_qc.apply.measures import measure
from decoupled_qc.predictions import Prediction

SHAPE = (20, 22, 24)


def measured(image, grey):
    probability = torch.from_numpy(grey.astype(np.float32)) * 0.9
    maps = {name: torch.full(SHAPE, 0.1) for name in ("task", "noise")}
    found = Prediction(probability, (probability - 0.5) * 4, maps)
    return measure(torch.from_numpy(image), found, 2.0, grey.astype(np.uint8), 0.008)


def edge_share(image, grey):
    return measured(image, grey)["edge_share"]


@pytest.mark.parametrize("face", [(0, 0), (0, -1), (1, 0), (2, -1)])
def test_grey_matter_cut_by_a_face_is_found_also_under_a_layer_without_values(face):
    axis, place = face
    rng = np.random.default_rng(0)
    image = rng.uniform(0.1, 1.0, SHAPE).astype(np.float32)
    grey = np.zeros(SHAPE, bool)
    grey[6:14, 6:16, 6:18] = True
    assert edge_share(image, grey) == 0
    cut = np.moveaxis(grey, axis, 0).copy()
    reach = slice(1, 14) if place == 0 else slice(6, -1)  # up to the last layer but one
    cut[reach] = cut[10]
    cut = np.moveaxis(cut, 0, axis)
    assert edge_share(image, cut) == 0
    empty = image.copy()
    np.moveaxis(empty, axis, 0)[place] = 0
    share = cut.sum(axis=tuple(other for other in range(3) if other != axis)).max() / cut.sum()
    assert edge_share(empty, cut) == pytest.approx(share)
    assert edge_share(empty, grey) == 0


def test_without_grey_matter_there_is_no_share():
    assert np.isnan(edge_share(np.ones(SHAPE, np.float32), np.zeros(SHAPE, bool)))


def test_a_mean_times_the_box_per_grey_matter_is_the_variance_per_voxel_of_it():
    image, grey = np.ones(SHAPE, np.float32), np.zeros(SHAPE, bool)
    grey[6:14, 6:16, 6:18] = True
    found = measured(image, grey)
    assert found["uncertainty_noise"] * found["box_per_gm"] == pytest.approx(0.1 * image.size / grey.sum())
    assert measured(image, ~(grey | True))["box_per_gm"] == image.size  # as of one voxel


def test_the_rim_of_grey_matter_is_fluid_and_what_it_encloses_is_none():
    """A shell of grey matter around a bright core: what is inside it may be bright, what is around it may not."""
    axes = np.meshgrid(*[np.arange(side) - side / 2 for side in SHAPE], indexing="ij")
    radius = np.sqrt(sum(axis**2 for axis in axes))
    grey = (radius >= 4) & (radius < 7)
    image = np.select([radius < 4, grey], [0.9, 0.5], 0.2).astype(np.float32)
    assert measured(image, grey)["rim_level"] == pytest.approx(0.4)
    assert measured(1 - image, grey)["rim_level"] == pytest.approx(1.6)
    assert np.isnan(measured(image, grey & False)["rim_level"])
