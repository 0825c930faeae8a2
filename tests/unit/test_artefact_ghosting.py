import math

import pytest
import torch
from phantom import SPACING_MM, head

from decoupled_qc.artefacts import ghosting
from decoupled_qc.seeds import rng_for
from decoupled_qc.simulation.kspace import to_complex_image, to_kspace

SETTINGS = {"amplitude": [0.1, 0.5], "period_planes": [2.0, 8.0]}


def modulated(image, *, axis, amplitude, period, phase):
    record = {"axis": axis, "amplitude": amplitude, "period_planes": period, "phase_rad": phase}
    return to_complex_image(ghosting.apply(to_kspace(image), record))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("period", [4.0, 8.0])
def test_two_ghosts_of_half_the_amplitude_at_n_over_q(axis, period):
    """The modulation theorem: a cosine over k-space is a pair of shifted copies, with opposite phases."""
    image = head((48, 40, 24))
    shift = round(image.shape[axis] / period)
    phase, amplitude = 0.7, 0.3
    expected = image + amplitude / 2 * (
        image.roll(-shift, axis) * complex(math.cos(phase), math.sin(phase))
        + image.roll(shift, axis) * complex(math.cos(phase), -math.sin(phase))
    )
    found = modulated(image, axis=axis, amplitude=amplitude, period=period, phase=phase)
    assert (found - expected).abs().max() < 1e-5


def test_period_two_folds_both_ghosts_onto_half_the_field_of_view():
    image = head((32, 24, 24))
    found = modulated(image, axis=0, amplitude=0.4, period=2.0, phase=0.0)
    assert torch.allclose(found.real, image + 0.4 * image.roll(16, 0), atol=1e-5)


def test_strength_follows_severity_and_the_rest_does_not():
    records = [
        ghosting.sample(severity, (8, 8, 8), SPACING_MM, rng_for(0, "ghosting"), **SETTINGS) for severity in (0.25, 1.0)
    ]
    assert [record["amplitude"] for record in records] == pytest.approx([0.2, 0.5])
    weak, strong = ({**record, "amplitude": None, "severity": None} for record in records)
    assert weak == strong
