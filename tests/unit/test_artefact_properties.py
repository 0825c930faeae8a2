"""Properties of the simulator over volumes of any shape: odd, even, not cubic, thin."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from phantom import SETTINGS
from scipy.spatial.transform import Rotation

from decoupled_qc import artefacts
from decoupled_qc.artefacts import motion, spike, wrap
from decoupled_qc.kspace import central_planes, frequencies, magnitude, place_of, rescale, to_complex_image, to_kspace
from decoupled_qc.seeds import rng_for

settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=40)
settings.load_profile("repeatable")

every_artefact = pytest.mark.parametrize("name", artefacts.available())
shapes = st.tuples(*[st.integers(1, 24)] * 3).filter(lambda shape: max(shape) > 3)
axes = st.integers(0, 2)
seeds = st.integers(0, 2**31)
spacings = st.tuples(*[st.floats(0.3, 5.0)] * 3)


def image_of(shape, seed):
    """Return noise with an offset, float32, [0, 1]: nothing about it is smooth or symmetric."""
    return rescale(torch.from_numpy(np.random.default_rng(seed).random(shape, dtype=np.float32) ** 2))


def record_of(name, severity, shape, seed, *, spacing_mm=2.0, local_probability=0.0):
    record = artefacts.sample_record(
        name, severity, shape, spacing_mm, rng_for(seed, name), SETTINGS[name], local_probability=local_probability
    )
    return json.loads(json.dumps(record))


@given(shapes, seeds)
def test_round_trip_and_parseval(shape, seed):
    image = image_of(shape, seed)
    kspace = to_kspace(image)
    assert torch.allclose(magnitude(to_complex_image(kspace)), image, atol=1e-5)
    assert float(kspace.abs().square().sum()) / image.numel() == pytest.approx(float(image.square().sum()), rel=1e-4)


@given(st.integers(1, 40))
def test_centred_planes_and_the_order_of_the_fft_name_the_same_frequency(n):
    assert np.array_equal(frequencies(n)[place_of(range(n), n)], np.arange(n) - n // 2)
    assert torch.equal(torch.fft.fftshift(torch.arange(n)), place_of(range(n), n))


@every_artefact
@given(shape=shapes, seed=seeds, severity=st.floats(0.01, 1.0), spacing_mm=spacings, local=st.sampled_from([0.0, 1.0]))
def test_a_scan_of_any_shape_is_replayed_bit_for_bit_and_stays_a_scan(name, shape, seed, severity, spacing_mm, local):
    image = image_of(shape, seed)
    record = record_of(name, severity, shape, seed, spacing_mm=spacing_mm, local_probability=local)
    corrupted = artefacts.corrupt(image, [record])
    assert corrupted.shape == shape and corrupted.dtype == torch.float32
    assert corrupted.min() == 0 and (corrupted.max() == 1 or corrupted.max() == 0)
    assert torch.equal(corrupted, artefacts.corrupt(image, [json.loads(json.dumps(record))]))


@every_artefact
@given(shape=shapes, seed=seeds)
def test_severity_zero_is_the_identity(name, shape, seed):
    image = image_of(shape, seed)
    assert torch.equal(artefacts.corrupt(image, [record_of(name, 0.0, shape, seed)]), image)


@given(shape=shapes, seed=seeds, names=st.lists(st.sampled_from(artefacts.available()), max_size=3, unique=True))
def test_neighbours_in_a_batch_and_the_order_of_records_make_no_difference(shape, seed, names):
    images = torch.stack([image_of(shape, seed), image_of(shape, seed + 1)])[:, None]
    records = [record_of(name, 0.6, shape, seed, local_probability=0.5) for name in names]
    alone = artefacts.corrupt(images[0, 0], records)
    assert torch.equal(artefacts.corrupt_batch(images, [records, []])[0, 0], alone)
    assert torch.equal(artefacts.corrupt_batch(images.flip(0), [[], records[::-1]])[1, 0], alone)


@given(shape=shapes, seed=seeds, ratio=st.floats(1.0, 12.0), along=st.sets(axes, min_size=1))
def test_blur_leaves_no_energy_outside_the_band_and_all_inside(shape, seed, ratio, along):
    kspace = to_kspace(image_of(shape, seed))
    record = {"artefact": "blur", "ratio": ratio, "axes": sorted(along)}
    blurred = artefacts.load("blur").apply(kspace.clone(), record)
    band = torch.ones(shape, dtype=torch.bool)
    for axis in along:
        n = shape[axis]
        kept = central_planes(n, round(n / ratio))
        outside = [abs(frequency) > len(kept) / 2 for frequency in frequencies(n).tolist()]
        assert sum(outside) == n - len(kept) - (len(kept) % 2 == 0 and len(kept) < n)  # an even band is lopsided by one
        band.index_fill_(axis, place_of([plane for plane in range(n) if plane not in kept], n), False)
    assert blurred[~band].abs().sum() == 0
    assert torch.equal(blurred[band], kspace[band])


@given(shape=shapes.filter(lambda shape: min(shape) > 0), seed=seeds)
def test_a_spike_is_one_wave_of_its_own_wave_vector(shape, seed):
    image = image_of(shape, seed)
    record = record_of("spike", 0.5, shape, seed) | spike.measure(image, {})
    wave = to_complex_image(spike.apply(to_kspace(image), record)) - image
    amplitude = record["magnitude"] * record["kspace_max"] / image.numel()
    assert torch.allclose(wave.abs(), torch.full_like(image, amplitude), rtol=1e-3)
    peak = np.unravel_index(int(torch.fft.fftshift(torch.fft.fftn(wave)).abs().argmax()), shape)
    assert list(peak) == record["location"]


@given(n=st.integers(8, 64), seed=seeds, slight=st.floats(0.05, 0.95), more=st.floats(0.0, 1.0))
def test_a_stronger_wrap_lacks_the_planes_of_a_weaker_one_and_more(n, seed, slight, more):
    weak, strong = (
        wrap.sample(severity, (n, n, n), [1.0] * 3, rng_for(seed, "wrap"), **SETTINGS["wrap"])
        for severity in (slight, slight + more * (1 - slight))
    )
    assert set(weak["planes"]) <= set(strong["planes"])
    assert n // 2 not in strong["planes"]


@given(shape=shapes, seed=seeds, slow_axis=axes)
def test_motion_without_a_pose_is_the_identity(shape, seed, slow_axis):
    image = image_of(shape, seed)
    record = record_of("motion", 1.0, shape, seed) | {"slow_axis": slow_axis}
    still = {key: np.zeros_like(record[key]).tolist() for key in ("angles_deg", "shifts_mm")}
    assert torch.allclose(motion.apply(image, record | still).abs(), image, atol=1e-5)


@given(shape=shapes.filter(lambda shape: min(shape) > 3), seed=seeds, slow_axis=axes, fast_axis=axes)
def test_a_whole_shift_while_all_planes_are_read_only_moves_the_image(shape, seed, slow_axis, fast_axis):
    """Not demeaned: by the shift theorem each plane turns its phase, together a translation."""
    image = image_of(shape, seed)
    pose = np.eye(4)
    pose[fast_axis, 3] = 2.0 * 1
    moved = motion._mover(image, (2.0, 2.0, 2.0))(pose)
    inner = [slice(None)] * 3
    inner[fast_axis] = slice(0, -1)
    assert torch.allclose(moved[tuple(inner)], image.roll(-1, fast_axis)[tuple(inner)], atol=1e-5)


def moved_in_order(record, order):
    """Return a record of motion with the axes of its volume in another order: R becomes P R P^T, t becomes P t."""
    permutation = np.eye(3)[order]

    def turned(angles_deg):
        matrix = permutation @ Rotation.from_euler("xyz", angles_deg, degrees=True).as_matrix() @ permutation.T
        return Rotation.from_matrix(matrix).as_euler("xyz", degrees=True).tolist()

    return {
        "slow_axis": order.index(record["slow_axis"]),
        "angles_deg": [turned(angles) for angles in record["angles_deg"]],
        "drift_angle_deg": turned(record["drift_angle_deg"]),
        **{key: [np.take(shift, order).tolist() for shift in record[key]] for key in ["shifts_mm"]},
        **{key: np.take(record[key], order).tolist() for key in ("drift_shift_mm", "breathing_shift_mm", "spacing_mm")},
    }


# What else of a record counts along axes; noise and zipper draw a field, whose numbers follow the voxels in memory.
IN_ORDER = {
    "motion": moved_in_order,
    "spike": lambda record, order: {"location": np.take(record["location"], order).tolist()},
    "blur": lambda record, order: {"axes": [order.index(axis) for axis in record["axes"]]},
    "wrap": lambda record, order: {"axis": order.index(record["axis"])},
    "ghosting": lambda record, order: {"axis": order.index(record["axis"])},
    "bias": lambda record, order: {"weights": np.transpose(record["weights"], order).tolist()},
}


@pytest.mark.parametrize("name", IN_ORDER)
@given(shape=shapes, seed=seeds, order=st.permutations([0, 1, 2]), spacing_mm=spacings)
def test_a_scan_is_damaged_alike_in_any_order_of_its_axes(name, shape, seed, order, spacing_mm):
    image = image_of(shape, seed)
    record = record_of(name, 1.0, shape, seed, spacing_mm=spacing_mm)
    expected = artefacts.corrupt(image, [record]).permute(*order)
    turned = image.permute(*order).contiguous()
    found = artefacts.corrupt(turned, [record | IN_ORDER[name](record, order)])
    assert torch.allclose(found, expected, atol=2e-4)


@given(seed=seeds, shape=st.tuples(*[st.integers(18, 30)] * 3), severity=st.floats(0.05, 1.0))
def test_noise_has_the_power_asked_for(seed, shape, severity):
    image = image_of(shape, seed)
    record = record_of("noise", severity, shape, seed)
    record |= artefacts.load("noise").measure(image, record)
    added = artefacts.load("noise").apply(image, record) - image
    measured_db = 10 * np.log10(float(image.square().mean() / added.abs().square().mean()))
    assert measured_db == pytest.approx(record["snr_db"], abs=0.3)
