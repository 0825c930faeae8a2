import math

import numpy as np
import pytest
import torch
from phantom import SPACING_MM, head
from scipy import stats

from decoupled_qc.artefacts import blur, noise, spike, zipper
from decoupled_qc.errors import InputError
from decoupled_qc.seeds import rng_for
from decoupled_qc.simulation.kspace import to_complex_image, to_kspace

SNR_DB = [20.0, -10.0]
UNIT = {"noise_seed": 7, "signal_power": 2.0, "snr_db": 0.0}  # so that both parts have unit variance


def noisy(severity, signal_mask="volume"):
    image = head()
    record = noise.sample(severity, image.shape, SPACING_MM, rng_for(0, "n"), snr_db=SNR_DB, signal_mask=signal_mask)
    record |= noise.measure(image, record)
    return image, noise.apply(image, record), record


@pytest.fixture
def unit_field():
    """The noise alone, both parts of unit variance, (64, 64, 64)."""
    return noise.apply(torch.zeros(64, 64, 64), UNIT)


@pytest.mark.parametrize("severity, snr_db", [(0.1, 17), (0.5, 5), (1.0, -10)])
def test_error_of_the_complex_image_has_the_requested_power(severity, snr_db):
    image, found, record = noisy(severity)
    assert record["snr_db"] == pytest.approx(snr_db)
    power = (found - image).abs().square().mean()
    assert 10 * math.log10(image.square().mean() / power) == pytest.approx(snr_db, abs=0.3)


def test_signal_of_the_head_alone_is_stronger():
    image, found, _ = noisy(0.5, signal_mask="head")
    power = (found - image).abs().square().mean()
    signal = image[image > image.mean()].square().mean()
    assert 10 * math.log10(signal / power) == pytest.approx(5, abs=0.3)
    assert signal > 2 * image.square().mean()


def test_noise_is_rician():
    """In air the magnitude is Rayleigh: mean sigma sqrt(pi / 2), sd sigma sqrt(2 - pi / 2), sigma^2 = power / 2."""
    image, _, record = noisy(0.5)
    sigma = math.sqrt(record["signal_power"] * 10 ** (-0.5) / 2)
    air = noise.apply_seen(image, record)[image == 0]
    assert air.mean() == pytest.approx(sigma * math.sqrt(math.pi / 2), rel=0.02)
    assert air.std() == pytest.approx(sigma * math.sqrt(2 - math.pi / 2), rel=0.02)
    assert stats.kstest(air.numpy(), stats.rayleigh(scale=sigma).cdf).pvalue > 0.01


@pytest.mark.parametrize("of_kspace", [False, True])
def test_field_is_white_and_normal_in_the_image_and_in_k_space(of_kspace, unit_field):
    """The DFT is unitary up to sqrt(n_voxels): noise added to the image is noise added to k-space."""
    field = to_kspace(unit_field) / unit_field.numel() ** 0.5 if of_kspace else unit_field
    parts = torch.view_as_real(field).double().numpy()
    assert stats.kstest(parts.ravel(), "norm").pvalue > 0.01
    assert stats.kurtosis(parts.ravel()) == pytest.approx(0, abs=0.03)
    assert abs(np.corrcoef(parts[..., 0].ravel(), parts[..., 1].ravel())[0, 1]) < 0.01
    for axis in range(3):  # neighbours know nothing of each other
        assert abs((field * field.roll(1, axis).conj()).mean()) < 0.02
    blocks = field.abs().square().reshape(8, 8, 8, 8, 8, 8).mean(dim=(1, 3, 5))
    assert blocks.mean() == pytest.approx(2, rel=0.01)
    assert blocks.std() == pytest.approx(2 / 512**0.5, rel=0.1)  # as strong in every corner as chance allows


def test_far_tails_are_there(unit_field):
    """|n| is Rayleigh, P(|n| > r) = exp(-r^2 / 2), also where few of 64^3 voxels are."""
    size = unit_field.abs()
    for radius in (3.0, 4.0, 4.5):
        expected = size.numel() * math.exp(-(radius**2) / 2)
        assert int((size > radius).sum()) == pytest.approx(expected, abs=4 * math.sqrt(expected))
    assert stats.kstest(unit_field.angle().numpy().ravel(), stats.uniform(-math.pi, 2 * math.pi).cdf).pvalue > 0.01


@pytest.mark.parametrize("shape", [(40, 48, 44), (1, 5, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_what_is_seen_is_the_magnitude(shape, dtype):
    image = torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(0))
    before = image.clone()
    seen = noise.apply_seen(image, UNIT)
    assert seen.dtype == torch.float32
    assert torch.allclose(seen, noise.apply(image, UNIT).abs(), rtol=1e-5, atol=1e-6)
    assert torch.equal(image, before)


def test_noise_is_added_whatever_is_there_and_however_it_lies_in_memory():
    image = torch.randn(9, 10, 11, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    field = noise.apply(torch.zeros(9, 10, 11), UNIT)
    assert torch.allclose(noise.apply(image, UNIT) - image, field, atol=1e-5)
    turned = image.permute(2, 1, 0).contiguous().permute(2, 1, 0)
    assert torch.equal(noise.apply(turned, UNIT), noise.apply(image, UNIT))


@pytest.mark.parametrize("other", [spike, zipper])
def test_what_is_added_in_k_space_may_come_before_or_after(other):
    image, found, _ = noisy(0.5)
    field = found - image
    settings = {"magnitude": [1.0, 5.0]} | ({"n_planes": 2} if other is zipper else {})
    record = other.sample(0.5, image.shape, SPACING_MM, rng_for(0, "other"), **settings)
    record |= other.measure(image, record)
    after = to_complex_image(other.apply(to_kspace(found), record))
    before = to_complex_image(other.apply(to_kspace(image), record) + to_kspace(field))
    assert torch.allclose(after, before, atol=1e-4 * float(before.abs().max()))


def test_blur_takes_from_the_noise_all_beyond_its_band():
    image, found, record = noisy(1.0)
    cut = {"ratio": 4.0, "axes": [0, 1]}
    left = to_complex_image(blur.apply(to_kspace(found), cut)) - to_complex_image(blur.apply(to_kspace(image), cut))
    power = record["signal_power"] * 10 ** (-record["snr_db"] / 10)
    assert left.abs().square().mean() == pytest.approx(power / 16, rel=0.05)  # 10 of 40 planes, 12 of 48


def test_unknown_mask_is_refused():
    with pytest.raises(InputError, match="signal_mask is 'brain'"):
        noisy(0.5, signal_mask="brain")


def test_field_is_the_same_on_any_number_of_threads():
    fields, before = [], torch.get_num_threads()
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        fields.append(noise.apply(torch.zeros(31, 30, 29), UNIT))
    torch.set_num_threads(before)
    assert torch.equal(fields[0], fields[1]) and torch.equal(fields[0], fields[2])
    other = noise.apply(torch.zeros(31, 30, 29), UNIT | {"noise_seed": 8})
    assert abs((fields[0] * other.conj()).mean()) < 0.05  # and of another seed another one


def test_field_does_not_depend_on_the_blocks_it_is_made_in(monkeypatch, unit_field):
    monkeypatch.setattr(noise, "BLOCK_VOXELS", 1000)  # 64^3 / 32 streams are 8192 voxels: eight blocks and a rest
    assert torch.equal(noise.apply(torch.zeros(64, 64, 64), UNIT), unit_field)


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_a_gpu_adds_the_same_field(dtype):
    """What a GPU would compute, on the CPU."""
    image = torch.rand(31, 30, 29, generator=torch.Generator().manual_seed(1)).to(dtype)
    sd = math.sqrt(UNIT["signal_power"] / 2)
    for kind, on_cpu in ((torch.complex64, noise.apply), (torch.float32, noise.apply_seen)):
        found = noise._add_on_device(image, UNIT["noise_seed"], kind, sd)
        assert found.dtype == kind
        assert torch.allclose(found, on_cpu(image, UNIT), atol=1e-5)
