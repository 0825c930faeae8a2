import math

import numpy as np
import pytest
import torch
from phantom import SPACING_MM, head
from scipy import stats

from decoupled_qc.artefacts import noise
from decoupled_qc.errors import InputError
from decoupled_qc.kspace import to_complex_image, to_image, to_kspace
from decoupled_qc.seeds import rng_for

SNR_DB = [20.0, -10.0]


def noisy(severity, signal_mask="volume"):
    image = head()
    kspace = to_kspace(image)
    record = noise.sample(severity, image.shape, SPACING_MM, rng_for(0, "n"), snr_db=SNR_DB, signal_mask=signal_mask)
    record |= noise.measure(image, record)
    return image, noise.apply(kspace, record), record


@pytest.mark.parametrize("severity, snr_db", [(0.1, 17), (0.5, 5), (1.0, -10)])
def test_error_of_the_complex_image_has_the_requested_power(severity, snr_db):
    image, kspace, record = noisy(severity)
    assert record["snr_db"] == pytest.approx(snr_db)
    power = (to_complex_image(kspace) - image).abs().square().mean()
    assert 10 * math.log10(image.square().mean() / power) == pytest.approx(snr_db, abs=0.3)


def test_signal_of_the_head_alone_is_stronger():
    image, kspace, _ = noisy(0.5, signal_mask="head")
    power = (to_complex_image(kspace) - image).abs().square().mean()
    signal = image[image > image.mean()].square().mean()
    assert 10 * math.log10(signal / power) == pytest.approx(5, abs=0.3)
    assert signal > 2 * image.square().mean()


def test_noise_is_rician():
    """In air the magnitude is Rayleigh: mean sigma sqrt(pi / 2), sd sigma sqrt(2 - pi / 2), sigma^2 = power / 2."""
    image, kspace, record = noisy(0.5)
    sigma = math.sqrt(record["signal_power"] * 10 ** (-0.5) / 2)
    air = to_image(kspace)[image == 0]
    assert air.mean() == pytest.approx(sigma * math.sqrt(math.pi / 2), rel=0.02)
    assert air.std() == pytest.approx(sigma * math.sqrt(2 - math.pi / 2), rel=0.02)


def test_noise_is_white_and_the_same_in_both_parts():
    image, kspace, record = noisy(1.0)
    field = torch.fft.fftshift(kspace - to_kspace(image))
    expected = image.numel() * record["signal_power"] * 10 / 2
    assert field.real.square().mean() == pytest.approx(expected, rel=0.03)
    assert field.imag.square().mean() == pytest.approx(expected, rel=0.03)
    middle = tuple(slice(n // 4, 3 * n // 4) for n in image.shape)
    assert field[middle].abs().square().mean() == pytest.approx(2 * expected, rel=0.05)


def test_unknown_mask_is_refused():
    with pytest.raises(InputError, match="signal_mask is 'brain'"):
        noisy(0.5, signal_mask="brain")


def test_field_is_normal_and_the_same_on_any_number_of_threads():
    record = {"noise_seed": 7, "signal_power": 2 / 64**3, "snr_db": 0.0}  # so that both parts have unit variance
    fields = []
    for threads in (1, 2):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        fields.append(noise.apply(torch.zeros(64, 64, 64, dtype=torch.complex64), record))
        torch.set_num_threads(before)
    assert torch.equal(*fields)
    values = torch.view_as_real(fields[0]).double()
    both = values.flatten().numpy()
    assert stats.kstest(both, "norm").pvalue > 0.01
    assert stats.kurtosis(both) == pytest.approx(0, abs=0.03)
    assert abs(np.corrcoef(values[..., 0].flatten(), values[..., 1].flatten())[0, 1]) < 0.01
