"""Image quality measures on phantoms whose answer is known; definitions as in the measures' docstrings."""

import math

import numpy as np
import pytest
from phantom import noisy
from scipy import ndimage

from decoupled_qc.evaluation.metrics import dice
from decoupled_qc.evaluation.regions import enclosed_white, head_and_air
from decoupled_qc.measures.artefact_uncertainty import (
    mean_uncertainty_near,
    mean_uncertainty_off_boundary,
    patch_max_uncertainty,
    top_uncertainty,
    uncertainty_per_voxel,
)
from decoupled_qc.measures.cjv import cjv
from decoupled_qc.measures.cnr import tissue_cnr
from decoupled_qc.measures.edge_strength import average_edge_strength
from decoupled_qc.measures.efc import efc
from decoupled_qc.measures.fber import fber
from decoupled_qc.measures.fwhm_mm import fwhm_mm
from decoupled_qc.measures.gradient_entropy import gradient_entropy
from decoupled_qc.measures.snrd import DIETRICH, snr_dietrich
from decoupled_qc.measures.wm2max import wm2max

SHAPE = (48, 50, 52)


@pytest.fixture
def phantom():
    """A ball of grey matter (0.5) round white matter (1.0) in empty air, with their masks."""
    axes = np.meshgrid(*(np.arange(size) - size / 2 for size in SHAPE), indexing="ij")
    radius = np.sqrt(sum(axis**2 for axis in axes))
    grey, white = (radius >= 9) & (radius < 16), radius < 9
    return np.where(white, 1.0, np.where(grey, 0.5, 0.0)).astype(np.float32), grey, white


def test_cjv_of_known_noise(phantom):
    image, grey, white = phantom
    assert cjv(image, grey, white) == pytest.approx(0, abs=1e-6)
    assert cjv(noisy(image, 0.02), grey, white) == pytest.approx((0.02 + 0.02) / 0.5, rel=0.05)
    assert math.isnan(cjv(image, np.zeros(SHAPE, bool), white))
    assert math.isnan(cjv(np.ones(SHAPE), grey, white))


def test_white_matter_that_grey_matter_encloses(phantom):
    image, grey, white = phantom
    found = enclosed_white(noisy(image, 0.02), grey, (0.6, 0.6, 0.6))  # of a radius of 5.4 mm
    assert dice(found, white) > 0.98
    cnr, expected = (tissue_cnr(noisy(image, 0.02), grey, mask) for mask in (found, white))
    assert cnr == pytest.approx(expected, rel=0.02)
    assert not enclosed_white(image, np.zeros(SHAPE, bool), (1.0, 1.0, 1.0)).any()


def test_efc_is_0_for_one_voxel_1_for_all_alike_and_between_for_blur(phantom):
    single = np.zeros(SHAPE)
    single[3, 4, 5] = 7
    assert efc(single) == pytest.approx(0, abs=1e-9)
    assert efc(np.full(SHAPE, 3.0)) == pytest.approx(1)
    image = phantom[0]
    assert efc(image) < efc(ndimage.gaussian_filter(image, 3)) < 1
    assert math.isnan(efc(np.zeros(SHAPE)))


def test_efc_of_worked_numbers(phantom):
    # Two voxels of 3 and 4 among four: B = 5, shares 0.6 and 0.8, E = 0.3065 + 0.1785, at most sqrt(4) log sqrt(4).
    expected = (0.6 * math.log(1 / 0.6) + 0.8 * math.log(1 / 0.8)) / (2 * math.log(2))
    assert expected == pytest.approx(0.349861, abs=1e-6)
    image = np.array([0.0, 3.0, 4.0, 0.0]).reshape(1, 2, 2)
    assert efc(image) == pytest.approx(expected) and efc(70 * image) == pytest.approx(expected)
    # k alike of n: each share 1 / sqrt(k), E = sqrt(k) log sqrt(k).
    _, grey, _ = phantom
    k, n = grey.sum(), grey.size
    assert efc(grey.astype(float)) == pytest.approx(math.sqrt(k / n) * math.log(k) / math.log(n))
    # White matter of 1 and grey matter of 0.5: B^2 = w + g / 4.
    image, grey, white = phantom
    total, g, w = math.sqrt(white.sum() + grey.sum() / 4), grey.sum(), white.sum()
    entropy = w / total * math.log(total) + g * 0.5 / total * math.log(2 * total)
    assert efc(image) == pytest.approx(entropy / (math.sqrt(n) * math.log(math.sqrt(n))), rel=1e-6)


def test_head_and_air_of_a_ball(phantom):
    image, grey, white = phantom
    head, air = head_and_air(noisy(image, 0.02))
    body = grey | white
    assert (head & body).sum() > 0.93 * body.sum() and (head & ~body).sum() < 0.05 * body.sum()
    assert not (air & ndimage.binary_dilation(body, iterations=1)).any() and air.sum() > 0.5 * air.size


def test_dietrich_snr_and_fber_of_known_noise(phantom):
    image, grey, white = phantom
    sd = 0.02
    scan = noisy(image, sd)
    head, air = grey | white, ~ndimage.binary_dilation(grey | white, iterations=3)
    # Air of a magnitude image is Rayleigh: sd x sqrt((4 - pi) / 2) by moments; 1.4826 MAD of it is 0.6648 sd.
    assert snr_dietrich(scan, grey, air) == pytest.approx(0.5 / sd * DIETRICH / 0.6648, rel=0.03)
    # The median of x^2 in air is 2 ln 2 sd^2.
    signal = np.median(scan[head] ** 2)
    assert fber(scan, head, air) == pytest.approx(signal / (2 * math.log(2) * sd**2), rel=0.05)


def test_without_air_or_noise_in_it_there_is_no_number(phantom):
    image, grey, white = phantom
    nowhere = np.zeros(SHAPE, bool)
    head, air = head_and_air(image)  # brain-extracted: air is all zeros
    assert air.any()
    for empty in (air, nowhere):
        assert math.isnan(fber(image, head, empty))
        assert math.isnan(snr_dietrich(image, grey, empty))


def test_a_defaced_scan_has_no_measure_of_air(phantom):
    image, grey, white = phantom
    scan = noisy(image, 0.02)
    scan[:, 40:] = 0  # a block in front of the face, a fifth of all
    head, air = grey | white, ~ndimage.binary_dilation(grey | white, iterations=3)
    assert math.isnan(fber(scan, head, air)) and math.isnan(snr_dietrich(scan, grey, air))


@pytest.mark.parametrize("fwhm", [4.0, 6.0])
def test_fwhm_of_smoothed_noise(fwhm):
    spacing_mm = (1.0, 1.5, 2.0)
    sigmas = [fwhm / size / math.sqrt(8 * math.log(2)) for size in spacing_mm]
    rng = np.random.default_rng(0)
    image = ndimage.gaussian_filter(rng.normal(size=(80, 80, 80)), sigmas)
    assert fwhm_mm(image, np.ones(image.shape, bool), spacing_mm) == pytest.approx(fwhm, rel=0.1)
    assert math.isnan(fwhm_mm(np.ones(SHAPE), np.ones(SHAPE, bool), spacing_mm))


def test_wm2max_falls_when_something_outshines_the_brain(phantom):
    image, _, white = phantom
    assert wm2max(image, white) == pytest.approx(1.0)
    image = image.copy()
    image[:8, :8, :8] = 4.0
    assert wm2max(image, white) == pytest.approx(0.25)
    assert math.isnan(wm2max(image, np.zeros(SHAPE, bool)))


def test_wm2max_of_worked_numbers():
    # 0 to 10000 by ones: the 99.95th percentile is 9995; the median of the white matter's 4000, 6000, 8000 is 6000.
    image = np.arange(10001.0).reshape(73, 137, 1)
    assert wm2max(image, np.isin(image, [4000, 6000, 8000])) == pytest.approx(6000 / 9995)
    image[-1, -1] = 1e9  # one bright voxel moves nothing, as a maximum would
    assert wm2max(image, np.isin(image, [4000, 6000, 8000])) == pytest.approx(6000 / 9995)


def test_gradient_entropy_rises_with_blur_and_needs_an_edge(phantom):
    image = phantom[0]
    assert gradient_entropy(image) < gradient_entropy(ndimage.gaussian_filter(image, 2)) <= 1
    assert gradient_entropy(np.add.outer(np.add.outer(np.arange(9.0), np.zeros(9)), np.zeros(9))) == pytest.approx(1)
    assert math.isnan(gradient_entropy(np.ones(SHAPE)))


def test_aggregators_of_a_map_with_one_hot_patch(phantom):
    _, grey, white = phantom
    variance = np.full(SHAPE, 0.1)
    variance[:10, :10, :10] = 1.1
    mask = grey | white
    assert top_uncertainty(variance) == pytest.approx(0.1 + 1000 / round(0.05 * variance.size))
    assert patch_max_uncertainty(variance, (2.0, 2.0, 2.0)) == pytest.approx(1.1)
    assert patch_max_uncertainty(variance, (1.0, 1.0, 1.0)) == pytest.approx(0.1 + 1 / 8)
    assert patch_max_uncertainty(variance, (0.1, 0.1, 0.1)) == pytest.approx(variance.mean())
    assert mean_uncertainty_near(variance, mask, 0) == pytest.approx(0.1)
    boundary = ndimage.binary_dilation(mask) & ~ndimage.binary_erosion(mask)
    edged = np.where(boundary, 5.0, variance)
    assert mean_uncertainty_off_boundary(edged, mask) == pytest.approx(variance[~boundary].mean())
    assert mean_uncertainty_off_boundary(variance, np.zeros(SHAPE, bool)) == pytest.approx(variance.mean())


def test_uncertainty_per_voxel_of_grey_matter_does_not_move_with_the_air_around_the_head(phantom):
    _, grey, _ = phantom
    variance = np.where(grey, 0.5, 0.0)
    variance[0, 0, 0] = (
        0.25 * grey.sum()
    )  # outside the mask counts too: what is uncertain there may be missed grey matter
    assert uncertainty_per_voxel(variance, grey) == pytest.approx(0.75)
    wider, wider_grey = np.pad(variance, 8), np.pad(grey, 8)
    assert uncertainty_per_voxel(wider, wider_grey) == pytest.approx(0.75)
    assert mean_uncertainty_near(wider, np.ones(wider.shape, bool), 0) < variance.mean()
    assert math.isnan(uncertainty_per_voxel(variance, np.zeros(SHAPE, bool)))


def test_average_edge_strength_of_a_step_is_its_slope_and_falls_with_blur_and_noise(phantom):
    step = np.zeros((40, 44, 3))
    step[:, 22:] = 0.5
    step[:, 33:] = 1.0  # each edge: slope (0.5 / 2) over two columns, of which Canny keeps one; 40 rows, two edges
    assert average_edge_strength(step) == pytest.approx(0.25 * math.sqrt(80) / 80, rel=0.1)
    assert average_edge_strength(7 * step) == pytest.approx(average_edge_strength(step))
    image = noisy(phantom[0], 0.01)
    strength = average_edge_strength(image)
    assert average_edge_strength(ndimage.gaussian_filter(image, 2)) < 0.7 * strength
    assert average_edge_strength(noisy(image, 0.15)) < 0.7 * strength


def test_average_edge_strength_needs_an_edge():
    assert math.isnan(average_edge_strength(np.ones(SHAPE))) and math.isnan(average_edge_strength(np.zeros(SHAPE)))
