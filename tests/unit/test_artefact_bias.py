import math

import numpy as np
import pytest
import torch
from phantom import SPACING_MM, head

from decoupled_qc.artefacts import bias
from decoupled_qc.seeds import rng_for

SETTINGS = {"log_span": [0.2, 1.0], "order": 3}


@pytest.mark.parametrize("seed", range(5))
def test_ratio_to_the_clean_scan_is_smooth_and_spans_what_was_asked_for(seed):
    image = torch.ones(37, 33, 41)  # of one voxel per measured point along the centre, or more
    record = bias.sample(0.5, image.shape, SPACING_MM, rng_for(seed, "bias"), **SETTINGS)
    log_field = bias.apply(image, record).log().numpy()
    assert record["log_span"] == pytest.approx(0.6)
    inner = log_field[tuple(slice(round(n / 4), n - round(n / 4)) for n in image.shape)]
    assert np.ptp(inner) == pytest.approx(0.6, rel=0.1)
    centre = tuple(n // 2 for n in image.shape)
    assert log_field[centre] == pytest.approx(0, abs=1e-4)
    for axis in range(3):  # a cubic has no fourth difference
        assert np.abs(np.diff(log_field, n=4, axis=axis)).max() < 1e-4


def test_what_has_no_signal_gets_none():
    image = head()
    record = bias.sample(1.0, image.shape, SPACING_MM, rng_for(0, "bias"), **SETTINGS)
    biased = bias.apply(image, record)
    assert biased[image == 0].max() < 1e-5
    inside = image > 0.1
    assert float((biased[inside] / image[inside]).log().abs().max()) < math.log(20)


def test_a_voxel_scaled_keeps_its_field():
    """The field depends on the place alone, not on the scan."""
    image = head()
    record = bias.sample(1.0, image.shape, SPACING_MM, rng_for(0, "bias"), **SETTINGS)
    one, double = (bias.apply(scale * image, record) for scale in (1, 2))
    assert torch.allclose(2 * one, double, rtol=1e-4, atol=1e-5)
