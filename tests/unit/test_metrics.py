import math

import numpy as np
import pytest

from decoupled_qc.evaluation import metrics
from decoupled_qc.measures.artefact_uncertainty import mean_uncertainty_near
from decoupled_qc.measures.cnr import tissue_cnr
from decoupled_qc.measures.snr import tissue_snr
from decoupled_qc.seeds import rng_for


def test_dice_by_hand():
    first, second = np.array([1, 1, 1, 0, 0]), np.array([0, 1, 1, 1, 0])
    assert metrics.dice(first, second) == pytest.approx(2 * 2 / 6)
    assert metrics.dice(first, np.zeros(5)) == 0
    assert metrics.dice(np.zeros(5), np.zeros(5)) == 1


def test_entropy_is_log_two_at_a_coin_flip_and_nothing_when_certain():
    assert metrics.entropy(np.array([0.5, 0.0, 1.0])) == pytest.approx([math.log(2), 0, 0], abs=1e-9)


def test_equation_8_inverts_the_entropy_of_a_gaussian():
    variance = np.array([0.01, 0.2, 3.0])
    gaussian_entropy = 0.5 * np.log(2 * math.pi * math.e * variance)
    assert metrics.entropy_variance(gaussian_entropy) == pytest.approx(variance)
    assert metrics.entropy_variance(np.array([0, math.log(2)])) == pytest.approx([0.0585, 0.2342], abs=1e-4)


def test_regional_uncertainty_looks_only_near_the_mask():
    variance = np.zeros((9, 9, 9), dtype=np.float32)
    variance[4, 4, 4], variance[0, 0, 0] = 7.0, 1000.0
    mask = np.zeros((9, 9, 9), dtype=bool)
    mask[4, 4, 4] = True
    assert mean_uncertainty_near(variance, mask, 1) == pytest.approx(1.0)  # a cross of 7 voxels
    assert math.isnan(mean_uncertainty_near(variance, np.zeros_like(mask), 1))


@pytest.fixture
def two_tissues():
    """GM ~ N(0.5, 0.05), WM ~ N(0.8, 0.04), in halves of a cube."""
    rng = rng_for(0, "tissues")
    grey = np.zeros((40, 40, 40), dtype=bool)
    grey[:20] = True
    image = np.where(grey, rng.normal(0.5, 0.05, grey.shape), rng.normal(0.8, 0.04, grey.shape))
    return image, grey


def test_snr_and_cnr_of_two_tissues(two_tissues):
    image, grey = two_tissues
    assert tissue_snr(image, grey) == pytest.approx(10, rel=0.02)
    assert tissue_cnr(image, grey, ~grey) == pytest.approx(0.3 / math.hypot(0.05, 0.04), rel=0.02)


def test_snr_and_cnr_do_not_depend_on_the_intensity_scale(two_tissues):
    image, grey = two_tissues
    assert tissue_snr(1000 * image, grey) == pytest.approx(tissue_snr(image, grey))
    assert tissue_cnr(1000 * image, grey, ~grey) == pytest.approx(tissue_cnr(image, grey, ~grey))


def test_no_tissue_and_no_spread_have_no_number(two_tissues):
    image, grey = two_tissues
    assert math.isnan(tissue_snr(image, np.zeros_like(grey)))
    assert math.isnan(tissue_cnr(image, grey, np.zeros_like(grey)))
    assert math.isnan(tissue_snr(np.ones_like(image), grey))
