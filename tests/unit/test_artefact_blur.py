import numpy as np
import pytest
import torch
from phantom import SPACING_MM, head

from decoupled_qc.artefacts import blur
from decoupled_qc.seeds import rng_for
from decoupled_qc.simulation.kspace import to_complex_image, to_kspace

SETTINGS = {"ratio": [2.0, 12.0], "n_axes_probability": [0.6, 0.3, 0.1]}


def test_mean_intensity_is_kept():
    kspace = to_kspace(head())
    mean = kspace[0, 0, 0].clone()
    blurred = blur.apply(kspace, {"ratio": 100.0, "axes": [0, 1, 2]})
    assert blurred[0, 0, 0] == mean and blurred.count_nonzero() == 1


def test_edges_ring():
    """A hard cut of k-space overshoots an edge (Gibbs); a smooth kernel would not."""
    step = torch.zeros(64, 4, 4)
    step[16:48] = 1
    blurred = to_complex_image(blur.apply(to_kspace(step), {"ratio": 4.0, "axes": [0]})).real
    assert 1.05 < blurred.max() < 1.2


def test_ratio_and_number_of_axes():
    rng = rng_for(0, "blur")
    records = [blur.sample(0.5, (40, 48, 44), SPACING_MM, rng, **SETTINGS) for _ in range(2000)]
    assert {record["ratio"] for record in records} == {7.0}
    counts = np.bincount([len(record["axes"]) for record in records], minlength=4)[1:] / len(records)
    assert counts == pytest.approx([0.6, 0.3, 0.1], abs=0.03)
    used = np.bincount(np.concatenate([record["axes"] for record in records]))
    assert used / used.sum() == pytest.approx([1 / 3] * 3, abs=0.03)
