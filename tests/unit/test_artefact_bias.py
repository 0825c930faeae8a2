import numpy as np
import pytest
import torch
from numpy.polynomial.polynomial import polyval3d
from phantom import SPACING_MM, head

from decoupled_qc.artefacts import bias
from decoupled_qc.seeds import rng_for

SETTINGS = {"log_span": [0.2, 1.0], "order": 3}


def log_field(shape, seed=0, severity=0.5, **changes):
    record = bias.sample(severity, shape, SPACING_MM, rng_for(seed, "bias"), **SETTINGS | changes)
    return bias.apply(torch.ones(shape), record).log().numpy(), record


@pytest.mark.parametrize("shape", [(37, 33, 41), (41, 41, 1), (1, 41, 41), (41, 1, 40)])
@pytest.mark.parametrize("seed", range(5))
def test_ratio_to_the_clean_scan_is_smooth_and_spans_what_was_asked_for(seed, shape):
    """Of a volume with one voxel per measured point along the centre, or more; a slice spans no more than all slices."""
    field, record = log_field(shape, seed)
    assert record["log_span"] == pytest.approx(0.6)
    inner = field[tuple(slice(round(n / 4), n - round(n / 4)) for n in shape)]
    if min(shape) > 1:
        assert np.ptp(inner) == pytest.approx(0.6, rel=0.1)
    else:
        assert 0.06 < np.ptp(inner) < 0.66
    for axis in range(3):  # a cubic has no fourth difference
        assert np.abs(np.diff(field, n=4, axis=axis)).max(initial=0) < 1e-4


@pytest.mark.parametrize("axis", range(3))
def test_a_slice_has_the_field_of_the_middle_slice_of_a_volume(axis):
    """One voxel fills its axis, so that its centre is the volume's, where a polynomial without constant term is 0."""
    thick, thin = [41] * 3, [41] * 3
    thin[axis] = 1
    (volume, record), (found, same) = log_field(tuple(thick)), log_field(tuple(thin))
    assert same == record
    assert np.allclose(found, volume.take([20], axis), atol=1e-6)
    assert found[tuple(n // 2 for n in thin)] == pytest.approx(0, abs=1e-6)
    assert np.ptp(found) > 0.1


@pytest.mark.parametrize("shape", [(40, 48, 44), (17, 1, 20)])
def test_a_complex_scan_keeps_its_phase_and_its_magnitude_follows_the_polynomial_of_the_record(shape):
    rng = np.random.default_rng(0)
    image = torch.polar(
        head((40, 48, 44))[: shape[0], : shape[1], : shape[2]] + 0.1, torch.from_numpy(rng.random(shape)).float()
    )
    _, record = log_field(shape, severity=1.0)
    places = [np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in shape]
    expected = np.exp(polyval3d(*np.meshgrid(*places, indexing="ij"), np.array(record["weights"])))
    biased = bias.apply(image, record)
    assert np.allclose(biased.abs() / image.abs(), expected, rtol=1e-4)
    assert torch.allclose(biased.angle(), image.angle(), atol=1e-5)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_severity_stretches_one_field_and_order_is_the_highest_that_it_has(order):
    (weak, _), (strong, _) = (log_field((37, 33, 41), severity=severity, order=order) for severity in (0.25, 1.0))
    assert np.allclose(strong, weak * 1.0 / 0.4, atol=1e-5)
    lines, places = strong.reshape(len(strong), -1), np.linspace(-1, 1, len(strong))

    def left_by(degree):
        powers = np.vander(places, degree + 1)
        return np.abs(lines - powers @ np.linalg.lstsq(powers, lines)[0]).max()

    assert left_by(order) < 1e-5 and left_by(order - 1) > 1e-3
