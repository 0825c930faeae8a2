"""What the keys of ``cohort.warp`` and ``cohort.appearance`` mean: each one alone, all others neutral, over many subjects."""

import itertools

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from decoupled_qc.cohort.appearance import vary
from decoupled_qc.cohort.warps import random_warp
from decoupled_qc.seeds import rng_for

CSF, GREY, WHITE, OUTSIDE = LEVELS = (0.2, 0.5, 0.8, 0.4)
NO_LOOK = {
    "contrast_quantile": 0.5,
    "contrast": [1 - GREY / WHITE] * 2,
    "shift_sd": 0.0,
    "outside_sd": 0.0,
    "outside_smoothness_mm": 10.0,
    "texture_sd": 0.0,
    "texture_smoothness_mm": 1.5,
    "bias_order": 3,
    "bias_coefficient": 0.0,
    "noise": [0.0, 0.0],
}
NO_WARP = {"fields": [{"amplitude_mm": 0.0, "smoothness_mm": 10.0}], "scale_sd": 0.0, "rotation_sd_deg": 0.0}


def layers(side):
    """Return a cube of layers, a fifth each: air, CSF, grey and white matter, tissue outside the brain; and the fractions."""
    place = np.broadcast_to((np.arange(side) * 5 // side)[:, None, None], (side,) * 3)
    image = np.array([0.0, *LEVELS], np.float32)[place]
    return image, np.stack([place == number for number in (1, 2, 3)]).astype(np.float32)


def looks(side, n, spacing_mm=1.0, **changes):
    """Return the layers of each of so many scans: [scan, layer, voxels along the layers' axis, ...], air first."""
    image, fractions = layers(side)
    scans = [vary(image, fractions, spacing_mm, rng_for(seed, "look"), **NO_LOOK | changes)[0] for seed in range(n)]
    return np.stack(scans).reshape(n, 5, side // 5, side, side)


def correlation(fields, lag):
    """Return how alike the values of fields are, each of mean 0, along their last axis at a distance."""
    return (fields[..., lag:] * fields[..., :-lag]).mean() / (fields**2).mean()


def gaussian(lag_mm, smoothness_mm):
    """Return the correlation of white noise that a Gaussian has smoothed."""
    return np.exp(-(lag_mm**2) / (4 * smoothness_mm**2))


def test_outside_sd_is_that_of_the_logarithm_of_a_smooth_factor_outside_the_brain_alone():
    found = looks(40, 12, spacing_mm=2.0, outside_sd=0.3, outside_smoothness_mm=6.0)
    white = found[:, 3].mean(axis=(1, 2, 3), keepdims=True)
    for layer, level in enumerate((0.0, CSF, GREY, WHITE)):
        assert found[:, layer] / white == pytest.approx(np.broadcast_to(level / WHITE, found[:, layer].shape), abs=1e-5)
    factor = np.log(found[:, 4] / white / (OUTSIDE / WHITE))
    assert factor.std() == pytest.approx(0.3, rel=0.1) and abs(factor.mean()) < 0.05
    assert correlation(factor, 3) == pytest.approx(gaussian(6.0, 6.0), abs=0.05)


def test_shift_sd_is_that_of_each_tissues_own_shift_in_white_matter_means():
    found = looks(10, 400, shift_sd=0.03).mean(axis=(2, 3, 4))
    shifts = found[:, 1:4] / found[:, 4:] * OUTSIDE / WHITE - np.array([CSF, GREY, WHITE]) / WHITE
    assert shifts.std(axis=0) == pytest.approx(np.full(3, 0.03), rel=0.12)
    assert np.abs(shifts.mean(axis=0)).max() < 0.005
    assert np.abs(np.corrcoef(shifts.T) - np.eye(3)).max() < 0.15


@pytest.mark.parametrize(("spacing_mm", "smoothness_mm"), [(1.0, 1.5), (2.0, 6.0)])
def test_texture_sd_is_that_of_a_smooth_factor_all_over(spacing_mm, smoothness_mm):
    found = looks(40, 8, spacing_mm, texture_sd=0.04, texture_smoothness_mm=smoothness_mm)
    for layer in (1, 2, 4):  # in white matter the brightest voxels are capped
        texture = found[:, layer] / found[:, layer].mean() - 1
        texture -= texture.mean(axis=(1, 2, 3), keepdims=True)
        assert texture.std() == pytest.approx(0.04, rel=0.12)
    assert correlation(texture, 2) == pytest.approx(gaussian(2 * spacing_mm, smoothness_mm), abs=0.05)


@pytest.mark.parametrize("order", [1, 3])
def test_the_bias_field_is_the_exponential_of_a_polynomial_with_coefficients_up_to_the_largest(order):
    side, n = 20, 60
    found = looks(side, n, bias_order=order, bias_coefficient=0.2).reshape(n, -1)
    plain = layers(side)[0].ravel()
    axes = np.stack(np.meshgrid(*[np.linspace(-1, 1, side)] * 3, indexing="ij")).reshape(3, -1)
    powers = [p for p in itertools.product(range(order + 1), repeat=3) if sum(p) <= order]
    terms = np.stack([np.prod(axes ** np.array(p)[:, None], axis=0) for p in powers], axis=1)
    coefficients = []
    for scan in found:
        seen = (plain > 0) & (scan < 1)  # what is capped is 1
        fit, *_ = np.linalg.lstsq(terms[seen], np.log(scan[seen] / plain[seen]), rcond=None)
        assert terms[seen] @ fit == pytest.approx(np.log(scan[seen] / plain[seen]), abs=1e-3)
        coefficients.append(fit[1:])  # the first one scales the scan to [0, 1]
    assert 0.19 < np.abs(coefficients).max() < 0.201
    assert np.std(coefficients) == pytest.approx(0.2 / np.sqrt(3), rel=0.1)


def test_the_noise_is_told_for_voxels_of_a_cubic_millimetre():
    for spacing_mm in (1.0, 2.0):
        found = looks(40, 1, spacing_mm, noise=[0.02, 0.02])[0]
        relative = found[2].std() / found[2].mean() * GREY / WHITE
        assert relative == pytest.approx(0.02 / spacing_mm**1.5, rel=0.03)


def affine_of(warp, spacing_mm):
    """Return the matrix that a warp without velocity takes every voxel's place by."""
    axes = [(np.arange(n) - (n - 1) / 2) * spacing_mm for n in warp.points_mm.shape[1:]]
    grid = np.stack(np.meshgrid(*axes, indexing="ij")).reshape(3, -1)
    points = warp.points_mm.reshape(3, -1)
    matrix = np.linalg.lstsq(grid.T, points.T, rcond=None)[0].T
    assert matrix @ grid == pytest.approx(points, abs=1e-4)
    return matrix


def affines(**changes):
    warps = (random_warp((4, 5, 6), 3.0, rng_for(seed, "warp"), **NO_WARP | changes) for seed in range(400))
    return np.stack([affine_of(warp, 3.0) for warp in warps])


def test_scale_sd_is_that_of_the_logarithm_of_the_scale_of_each_axis():
    found = affines(scale_sd=0.1)
    assert found * (1 - np.eye(3)) == pytest.approx(np.zeros(found.shape), abs=1e-5)
    logarithms = np.log(np.diagonal(found, axis1=1, axis2=2))
    assert logarithms.std(axis=0) == pytest.approx(np.full(3, 0.1), rel=0.12)
    assert np.abs(logarithms.mean(axis=0)).max() < 0.02
    assert np.abs(np.corrcoef(logarithms.T) - np.eye(3)).max() < 0.15


def test_rotation_sd_deg_is_that_of_the_rotation_about_each_axis():
    found = affines(rotation_sd_deg=3.0)
    assert found @ found.transpose(0, 2, 1) == pytest.approx(np.broadcast_to(np.eye(3), found.shape), abs=1e-5)
    assert np.linalg.det(found) == pytest.approx(np.ones(len(found)), abs=1e-5)
    angles = Rotation.from_matrix(found).as_euler("xyz", degrees=True)
    assert angles.std(axis=0) == pytest.approx(np.full(3, 3.0), rel=0.12)
    assert np.abs(angles.mean(axis=0)).max() < 0.6


def displacements(*fields):
    """Return how far warps without scale and rotation take each voxel, mm: small enough to be nearly their velocity."""
    shape, spacing_mm = (40, 44, 48), 4.0
    axes = [(np.arange(n) - (n - 1) / 2) * spacing_mm for n in shape]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"))
    warps = (random_warp(shape, spacing_mm, rng_for(s, "warp"), **NO_WARP | {"fields": fields}) for s in range(6))
    return np.stack([warp.points_mm - grid for warp in warps])


def test_a_warps_field_has_the_amplitude_of_each_component_and_the_smoothness_of_its_gaussian():
    found = displacements({"amplitude_mm": 1.5, "smoothness_mm": 12.0})
    assert found.std(axis=(0, 2, 3, 4)) == pytest.approx(np.full(3, 1.5), rel=0.1)
    for lag in (2, 4):
        assert correlation(found, lag) == pytest.approx(gaussian(4.0 * lag, 12.0), abs=0.05)


def test_a_warps_fields_add_up():
    """Their variances do, since they are drawn apart; the correlation is the mean of both, by variance."""
    found = displacements({"amplitude_mm": 1.2, "smoothness_mm": 20.0}, {"amplitude_mm": 0.9, "smoothness_mm": 10.0})
    assert found.std() == pytest.approx(1.5, rel=0.1)
    expected = (1.2**2 * gaussian(16.0, 20.0) + 0.9**2 * gaussian(16.0, 10.0)) / 1.5**2
    assert correlation(found, 4) == pytest.approx(expected, abs=0.06)
