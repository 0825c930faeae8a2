import math

import numpy as np
import pytest
from phantom import SPACING_MM, head

from decoupled_qc.artefacts import spike
from decoupled_qc.seeds import rng_for
from decoupled_qc.simulation.kspace import magnitude, to_complex_image, to_kspace

MAGNITUDE = [1.0, 10.0]


@pytest.fixture
def scan():
    image = head()
    kspace = to_kspace(image)
    record = spike.sample(0.5, image.shape, SPACING_MM, rng_for(0, "spike"), magnitude=MAGNITUDE)
    return image, kspace, record | spike.measure(image, record)


def test_magnitude_follows_severity(scan):
    assert scan[2]["magnitude"] == 5.5
    assert scan[2]["kspace_max"] == pytest.approx(
        float(scan[0].sum()), rel=1e-5
    )  # the largest sample of a head is its sum


def test_one_wave_of_the_right_wave_vector_amplitude_and_phase(scan):
    image, kspace, record = scan
    wave = (to_complex_image(spike.apply(kspace, record)) - image).numpy()
    turns = sum(
        np.arange(n).reshape([n if place == axis else 1 for place in range(3)]) * (k - n // 2) / n
        for axis, (k, n) in enumerate(zip(record["location"], image.shape, strict=True))
    )
    amplitude = record["magnitude"] * record["kspace_max"] / image.numel()
    expected = amplitude * np.exp(2j * math.pi * turns + 1j * record["phase_rad"])
    assert np.abs(wave - expected).max() < 1e-4 * amplitude


def test_air_is_evenly_grey(scan):
    image, kspace, record = scan
    air = magnitude(to_complex_image(spike.apply(kspace, record)))[image == 0]
    assert air.mean() == pytest.approx(record["magnitude"] * record["kspace_max"] / image.numel(), rel=1e-5)
    assert air.std() < 1e-5 * air.mean()


def test_place_is_uniform_but_for_the_centre():
    shape = (5, 5, 5)
    rng = rng_for(1, "spike")
    places = [tuple(spike.sample(1.0, shape, 1.0, rng, magnitude=MAGNITUDE)["location"]) for _ in range(5000)]
    counts = np.zeros(shape)
    np.add.at(counts, tuple(np.array(places).T), 1)
    assert counts[1:4, 1:4, 1:4].sum() == 0
    outside = counts[counts > 0]
    assert len(outside) == 125 - 27
    assert outside.std() < 2 * math.sqrt(5000 / 98)
