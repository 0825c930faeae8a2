import math

import numpy as np
import pytest
import torch
from phantom import SPACING_MM, head

from decoupled_qc.artefacts import wrap
from decoupled_qc.seeds import rng_for
from decoupled_qc.simulation.kspace import central_planes, to_kspace

SETTINGS = {"regular_probability": 0.5, "every": [2, 5], "centre_fraction": [0.4, 0.04], "fraction": [0.1, 0.5]}
SHAPE = (40, 48, 44)


def drawn(severity, seed=0, **changes):
    return wrap.sample(severity, SHAPE, SPACING_MM, rng_for(seed, "wrap"), **(SETTINGS | changes))


@pytest.mark.parametrize("severity, centre", [(0.0001, 0.4), (0.5, 0.4**0.5 * 0.04**0.5), (1.0, 0.04)])
@pytest.mark.parametrize("q", [2, 3, 4, 5])
def test_regular_mode_drops_every_qth_plane_outside_a_block_at_the_centre(severity, centre, q):
    record = drawn(severity, regular_probability=1.0, every=[q, q])
    n = SHAPE[record["axis"]]
    assert record["every"] == q and record["centre_fraction"] == pytest.approx(centre, rel=1e-3)
    kept = central_planes(n, math.ceil(centre * n))
    first = record["planes"][0] % q
    assert record["planes"] == [plane for plane in range(first, n, q) if plane not in kept]


def test_q_is_drawn_evenly_and_whatever_the_severity():
    drawn_q = [[drawn(s, seed, regular_probability=1.0)["every"] for seed in range(800)] for s in (0.1, 0.9)]
    assert drawn_q[0] == drawn_q[1]
    assert np.bincount(drawn_q[0])[2:] / 800 == pytest.approx([0.25] * 4, abs=0.05)


@pytest.mark.parametrize("severity, share", [(0.01, 0.104), (0.5, 0.3), (1.0, 0.5)])
def test_random_mode_drops_the_requested_share(severity, share):
    record = drawn(severity, regular_probability=0.0)
    assert len(record["planes"]) == pytest.approx(share * SHAPE[record["axis"]], abs=0.5001)
    assert len(set(record["planes"])) == len(record["planes"])


@pytest.mark.parametrize("regular_probability", [0.0, 1.0])
def test_the_centre_is_kept(regular_probability):
    for seed in range(30):
        record = drawn(1.0, seed, regular_probability=regular_probability)
        n = SHAPE[record["axis"]]
        assert not {n // 2 - 1, n // 2} & set(record["planes"])  # 4 % of 40 to 48 planes is two


def test_missing_planes_are_zero_and_the_others_untouched():
    kspace = torch.fft.fftshift(to_kspace(head(SHAPE)))
    record = drawn(0.8)
    wrapped = torch.fft.fftshift(wrap.apply(torch.fft.ifftshift(kspace), record)).movedim(record["axis"], 0)
    kept = [plane for plane in range(len(wrapped)) if plane not in record["planes"]]
    assert wrapped[record["planes"]].abs().max() == 0
    assert torch.equal(wrapped[kept], kspace.movedim(record["axis"], 0)[kept])


def test_axes_and_modes_are_drawn_evenly():
    records = [drawn(0.5, seed) for seed in range(600)]
    axes = np.bincount([record["axis"] for record in records]) / len(records)
    assert axes == pytest.approx([1 / 3] * 3, abs=0.06)
    assert np.mean([record["mode"] == "regular" for record in records]) == pytest.approx(0.5, abs=0.06)
