"""What the variance heads see of an image beside features: its roughness and its power at each frequency."""

import math

import pytest
import torch
from torch.nn import functional as F

from decoupled_qc.texture import N_SPECTRA, over_patch, relative, spectra, texture


def test_a_gain_moves_all_of_the_texture_alike_and_low_resolution_does_not():
    """What a contrast or a receiver does to the image must not look like an artefact."""
    image = torch.rand(1, 1, 32, 32, 32, generator=torch.Generator().manual_seed(0))
    before = texture(image)
    gained = texture(2 * image) - before
    assert gained.shape == (1, 13, 8, 8, 8)
    assert torch.allclose(gained, torch.full_like(gained, math.log(2)), atol=0.02)
    blurred = texture(F.avg_pool3d(image, 3, stride=1, padding=1)) - before
    near, far = blurred[:, [1, 5, 9]].mean(), blurred[:, [3, 7, 11]].mean()  # lags of one and of four voxels
    second = blurred[:, [4, 8, 12]].mean()
    assert near < far - 0.3 and second < near - 0.1


def smooth(shape, seed=0):
    """An image whose power falls with frequency, as a head's does."""
    image = torch.rand(shape, generator=torch.Generator().manual_seed(seed))
    return F.avg_pool3d(image, 3, stride=1, padding=1)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_spectra_are_the_windowed_fourier_power_of_each_block(axis):
    image = smooth((1, 1, 48, 32, 16))
    block = image[:, :, 32:48, 16:32]
    window = torch.hann_window(16).reshape([16 if place == axis + 2 else 1 for place in range(5)])
    power = (
        torch.fft.rfft(block * window, dim=axis + 2).abs().square().movedim(axis + 2, 1)[:, 1:].flatten(2).mean(dim=2)
    )
    frequency = torch.arange(1, 9)
    expected = (((power + 1e-6) * frequency**3.5).log() + 1) / 2
    found = spectra(image)
    assert found.shape == (1, N_SPECTRA, 3, 2, 1)
    assert torch.allclose(found[:, 8 * axis : 8 * axis + 8, 2, 1, 0], expected, atol=1e-5)


def test_a_low_pass_along_one_axis_takes_power_from_the_high_frequencies_of_that_axis_alone():
    image = smooth((1, 1, 64, 64, 64))
    kept = (torch.fft.fftfreq(64).abs() <= 0.2).float().reshape(1, 1, 1, 64, 1)
    low = torch.fft.ifft(torch.fft.fft(image, dim=3) * kept, dim=3).real
    fall = (spectra(image) - spectra(low)).mean(dim=(0, 2, 3, 4)).reshape(3, 8)
    assert fall[1, 5:].min() > 1.5 and fall[1, :2].max() < 0.1
    assert fall[[0, 2]].max() < 0.5  # what is left along the others is only the mean of fewer frequencies


def test_a_gain_moves_every_frequency_alike_and_silence_is_the_floor():
    image = smooth((1, 1, 32, 32, 32)) + 0.3 * torch.rand(1, 1, 32, 32, 32, generator=torch.Generator().manual_seed(1))
    gained = spectra(2 * image) - spectra(image)
    assert torch.allclose(gained, torch.full_like(gained, math.log(2)), atol=0.01)  # half of log 4
    silent = spectra(torch.zeros(1, 1, 16, 16, 16))[0, :8].flatten()
    assert torch.allclose(silent, (3.5 * torch.arange(1, 9).log() + math.log(1e-6) + 1) / 2)


def test_sides_that_sixteen_does_not_divide_and_shorter_ones_are_taken():
    image = smooth((2, 1, 40, 16, 8))
    found = spectra(image)
    assert found.shape == (2, N_SPECTRA, 2, 1, 1) and found.isfinite().all()
    filled = F.pad(image, (0, 8))
    assert torch.allclose(found, spectra(filled), atol=1e-5)
    assert torch.allclose(found, spectra(filled[:, :, :32]), atol=1e-5)


def test_what_a_patch_is_like_is_mean_spread_highest_and_lowest_of_every_map():
    maps = torch.rand(2, 3, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    mean, spread, high, low = over_patch(maps).reshape(2, 4, 3).unbind(dim=1)
    assert torch.allclose(mean, maps.mean(dim=(2, 3, 4)))
    assert torch.allclose(spread.square(), maps.var(dim=(2, 3, 4), correction=0) + 1e-3)
    assert torch.equal(high, maps.amax(dim=(2, 3, 4))) and torch.equal(low, maps.amin(dim=(2, 3, 4)))


def test_relative_numbers_do_not_know_a_gain_but_beside_them():
    maps = torch.rand(2, 3, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    found, gained = (relative(over_patch(each)).reshape(2, 4, 4) for each in (maps, maps + 0.7))
    assert torch.allclose(found[:, :, :3].sum(dim=2), torch.zeros(2, 4), atol=1e-5)
    assert torch.allclose(gained[:, :, :3], found[:, :, :3], atol=1e-5)
    assert torch.allclose((gained - found)[:, [0, 2, 3], 3], torch.full((2, 3), 3 * 0.7), atol=1e-5)  # not the spread
