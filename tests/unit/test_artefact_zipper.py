import pytest
import torch
from phantom import SPACING_MM, head

from decoupled_qc.artefacts import zipper
from decoupled_qc.seeds import rng_for
from decoupled_qc.simulation.kspace import to_complex_image, to_kspace

SETTINGS = {"magnitude": [1.0, 5.0], "n_planes": 2}


def zipped(image, seed=0, severity=0.5):
    kspace = to_kspace(image)
    record = zipper.sample(severity, image.shape, SPACING_MM, rng_for(seed, "zipper"), **SETTINGS)
    record |= zipper.measure(image, record)
    return to_complex_image(zipper.apply(kspace, record)) - image, record


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shape", [(40, 48, 44), (17, 23, 20)])
def test_only_the_planes_hit_change(shape, seed):
    """A single frequency along the read axis is one place along it, whatever the phases of the lines."""
    added, record = zipped(head(shape), seed)
    planes = torch.tensor(record["planes"])
    inside = added.index_select(record["axis"], planes)
    outside = added.index_fill(record["axis"], planes, 0)
    assert outside.abs().max() < 1e-3 * inside.abs().mean()


def test_noise_in_the_planes_has_the_magnitude_asked_for():
    image = head()
    added, record = zipped(image)
    inside = added.index_select(record["axis"], torch.tensor(record["planes"]))
    wanted = 3.0 * float(image.square().mean().sqrt())
    assert record["magnitude"] == 3.0
    # every line has the same modulus and Parseval holds plane by plane, so this is exact
    assert float(inside.abs().square().mean().sqrt()) == pytest.approx(wanted, rel=1e-4)
    assert float(inside.mean().abs()) < 0.1 * wanted  # random phases: no net signal


def test_other_lines_of_a_plane_do_not_resemble_each_other():
    added, record = zipped(head())
    plane = added.select(record["axis"], record["planes"][0])
    correlation = (plane[0] * plane[1].conj()).sum().abs() / (plane[0].norm() * plane[1].norm())
    assert correlation < 0.5


def test_a_volume_thinner_than_the_zipper():
    record = zipper.sample(1.0, (1, 1, 1), SPACING_MM, rng_for(0, "zipper"), **SETTINGS)
    assert record["planes"] == [0]
