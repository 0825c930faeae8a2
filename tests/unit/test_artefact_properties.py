"""Properties of the simulator over volumes of any shape: odd, even, not cubic, thin."""

import json
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from phantom import SETTINGS, record_of
from scipy import ndimage, stats
from scipy.spatial.transform import Rotation

from decoupled_qc import artefacts
from decoupled_qc.artefacts import motion, spike, wrap
from decoupled_qc.seeds import rng_for
from decoupled_qc.simulation.kspace import frequencies, magnitude, place_of, rescale, to_complex_image, to_kspace

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


@given(shapes, seeds)
def test_round_trip_and_parseval(shape, seed):
    image = image_of(shape, seed)
    kspace = to_kspace(image)
    assert torch.allclose(magnitude(to_complex_image(kspace)), image, atol=1e-5)
    assert kspace[0, 0, 0].real == pytest.approx(float(image.sum()), rel=1e-4)
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
    """The band is that of the lowest frequencies, by their numbers and not by their places in memory."""
    kspace = to_kspace(image_of(shape, seed))
    record = {"artefact": "blur", "ratio": ratio, "axes": sorted(along)}
    image = to_complex_image(artefacts.load("blur").apply(kspace.clone(), record))
    band = torch.ones(shape, dtype=torch.bool)
    for axis in along:
        n = shape[axis]
        kept = max(1, round(n / ratio))
        low = (2 * frequencies(n) >= -kept) & (2 * frequencies(n) < kept)  # of an even number one more is negative
        assert int(low.sum()) == kept
        band &= low.reshape([-1 if place == axis else 1 for place in range(3)])
    found, size = to_kspace(image), float(kspace.abs().max())
    assert found[~band].abs().sum() <= 1e-6 * size * max(1, int((~band).sum()))
    assert torch.allclose(found[band], kspace[band], atol=1e-5 * size)


@given(shape=shapes, seed=seeds)
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


@given(
    q=st.integers(2, 5), per_ghost=st.integers(2, 9), other=st.tuples(*[st.integers(1, 9)] * 2), axis=axes, seed=seeds
)
def test_every_qth_plane_missing_adds_ghosts_of_weight_one_over_q_at_n_over_q(q, per_ghost, other, axis, seed):
    """No wider than n / q, the object does not overlap its ghosts; it keeps 1 - 1 / q of itself."""
    n = q * per_ghost
    image = torch.zeros(n, *other)
    image[:per_ghost] = image_of((per_ghost, *other), seed)
    image = image.movedim(0, axis).contiguous()
    chosen = SETTINGS["wrap"] | {"regular_probability": 1.0, "every": [q, q], "centre_fraction": [0.0, 0.0]}
    record = wrap.sample(1.0, (n, n, n), [1.0] * 3, rng_for(seed, "wrap"), **chosen)
    found = magnitude(to_complex_image(wrap.apply(to_kspace(image), record | {"axis": axis})))
    ghosts = [image.roll(number * per_ghost, axis) / q for number in range(1, q)]
    assert torch.allclose(found, (1 - 1 / q) * image + sum(ghosts), atol=1e-5)


@given(shape=shapes, seed=seeds, slow_axis=axes)
def test_motion_without_a_pose_is_the_identity(shape, seed, slow_axis):
    image = image_of(shape, seed)
    record = record_of("motion", 1.0, shape, seed) | {"slow_axis": slow_axis}
    still = {key: np.zeros_like(record[key]).tolist() for key in ("angles_deg", "shifts_mm")}
    still |= motion.measure(image, record)
    assert torch.allclose(motion.apply(image, record | still).abs(), image, atol=1e-5)


@given(
    shape=st.tuples(*[st.integers(1, 12)] * 3),
    seed=seeds,
    slow_axis=axes,
    shift=st.tuples(*[st.integers(-3, 3)] * 3),
    spacing_mm=spacings,
    time=st.floats(0.0, 1.0),
)
def test_a_shift_turns_the_phase_of_the_planes_read_after_it(shape, seed, slow_axis, shift, spacing_mm, time):
    """Not demeaned, and of whole voxels in air, where nothing is interpolated: the Fourier shift theorem, plane by plane."""
    image = torch.nn.functional.pad(image_of(shape, seed), [3] * 6)
    record = record_of("motion", 1.0, image.shape, seed, spacing_mm=spacing_mm) | {
        "slow_axis": slow_axis,
        "times": [time],
        "angles_deg": [[0.0] * 3],
        "shifts_mm": [(np.array(shift) * spacing_mm).tolist()],
        "centre_mm": [0.0] * 3,
    }
    with mock.patch.object(motion, "demean", lambda log_poses, segments, n_planes: log_poses):
        found = to_kspace(motion.apply(image, record))
    still = to_kspace(image)
    turns = sum(
        (frequencies(n) * step / n).reshape([-1 if place == axis else 1 for place in range(3)])
        for axis, (n, step) in enumerate(zip(image.shape, shift, strict=True))
    )
    expected = (still * torch.polar(torch.ones_like(turns), -2 * torch.pi * turns)).to(still.dtype)
    n = image.shape[slow_axis]
    before = place_of(range(round(time * n)), n)
    expected.index_copy_(slow_axis, before, still.index_select(slow_axis, before))
    assert torch.allclose(found, expected, atol=1e-4 * float(still.abs().max()))


@given(
    shape=st.tuples(*[st.integers(24, 33)] * 3),
    seed=seeds,
    slow_axis=axes,
    turn_deg=st.tuples(*[st.floats(-20, 20)] * 3),
    spacing_mm=st.tuples(*[st.floats(1.0, 2.0)] * 3),
    centre_mm=st.tuples(*[st.floats(-4, 4)] * 3),
)
def test_a_rotation_held_throughout_is_the_rotated_image(shape, seed, slow_axis, turn_deg, spacing_mm, centre_mm):
    """Not demeaned. S^-1 R^T S about the head's centre, S the voxel sizes, by another library's splines; smooth tissue in air."""
    tissue = np.pad(image_of([n - 20 for n in shape], seed).numpy(), 10)
    image = torch.from_numpy(ndimage.gaussian_filter(tissue, 2.0))
    record = record_of("motion", 1.0, shape, seed, spacing_mm=spacing_mm) | {
        "slow_axis": slow_axis,
        "times": [0.0],
        "angles_deg": [turn_deg],
        "shifts_mm": [[0.0] * 3],
        "centre_mm": centre_mm,
    }
    with mock.patch.object(motion, "demean", lambda log_poses, segments, n_planes: log_poses):
        found = motion.apply(image, record)
    turn = Rotation.from_euler("xyz", turn_deg, degrees=True).as_matrix()
    matrix = np.diag(1 / np.array(spacing_mm)) @ turn.T @ np.diag(spacing_mm)
    centre = (np.array(shape) - 1) / 2 + np.array(centre_mm) / spacing_mm
    expected = ndimage.affine_transform(image.numpy(), matrix, centre - matrix @ centre, order=5, mode="nearest")
    assert np.allclose(magnitude(found).numpy(), expected, atol=1e-2 * float(image.max()))


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


# What else of a record counts along axes; noise and zipper draw a field, whose numbers follow the voxels in memory: see below.
IN_ORDER = {
    "motion": moved_in_order,
    "spike": lambda record, order: {"location": np.take(record["location"], order).tolist()},
    "blur": lambda record, order: {"axes": [order.index(axis) for axis in record["axes"]]},
    "wrap": lambda record, order: {"axis": order.index(record["axis"])},
    "ghosting": lambda record, order: {"axis": order.index(record["axis"])},
    "bias": lambda record, order: {"weights": np.transpose(record["weights"], order).tolist()},
}


# What of motion is off by default.
SWAYING = {"drift_angle_sd_deg": [0, 4], "drift_shift_sd_mm": [0, 3], "breathing_shift_mm": [0, 2]}


@pytest.mark.parametrize("name", IN_ORDER)
@given(shape=shapes, seed=seeds, order=st.permutations([0, 1, 2]), spacing_mm=spacings)
def test_a_scan_is_damaged_alike_in_any_order_of_its_axes(name, shape, seed, order, spacing_mm):
    image = image_of(shape, seed)
    record = record_of(name, 1.0, shape, seed, spacing_mm=spacing_mm, **(SWAYING if name == "motion" else {}))
    expected = artefacts.corrupt(image, [record]).permute(*order)
    turned = image.permute(*order).contiguous()
    found = artefacts.corrupt(turned, [record | IN_ORDER[name](record, order)])
    assert torch.allclose(found, expected, atol=2e-4)


# Of voxels enough that chance stays below the tolerance: odd, even, not cubic, thin.
large = st.one_of(
    st.tuples(*[st.integers(18, 30)] * 3),
    st.tuples(st.integers(1, 3), st.integers(70, 90), st.integers(70, 90)).flatmap(st.permutations).map(tuple),
)


@given(shape=shapes, seed=seeds, order=st.permutations([0, 1, 2]))
def test_a_zipper_hits_the_same_planes_as_strongly_in_any_order_of_the_axes(shape, seed, order):
    """To the bit of its phases where the two axes across the read axis keep their order, which is that of its lines."""
    image, zipper = image_of(shape, seed), artefacts.load("zipper")
    record = record_of("zipper", 1.0, shape, seed) | zipper.measure(image, {})
    turned = image.permute(*order).contiguous()
    moved = record | {"axis": order.index(record["axis"])} | zipper.measure(turned, {})
    assert moved["signal_rms"] == pytest.approx(record["signal_rms"], rel=1e-5)
    added, found = (
        to_complex_image(zipper.apply(to_kspace(scan), told)) - scan
        for scan, told in ((image, record), (turned, moved))
    )
    expected, size = added.permute(*order), record["magnitude"] * record["signal_rms"]
    planes = torch.tensor(record["planes"])
    for field in (expected, found):
        inside = field.index_select(moved["axis"], planes)
        assert float(inside.abs().square().mean().sqrt()) == pytest.approx(size, rel=1e-3)
        assert field.index_fill(moved["axis"], planes, 0).abs().max() < 1e-4 * size
    across = [axis for axis in order if axis != record["axis"]]
    if across == sorted(across):
        assert torch.allclose(found, expected, atol=1e-4 * size)


@given(shape=large, seed=seeds, order=st.permutations([0, 1, 2]), severity=st.floats(0.3, 1.0))
def test_noise_is_as_strong_in_any_order_of_the_axes(shape, seed, order, severity):
    """Another draw then. Mean |y|^2 - x^2 = P in either half of each axis of the scan, within five standard errors.

    Var |y|^2 = P^2 + 2 x^2 P.
    """
    image, noise = image_of(shape, seed), artefacts.load("noise")
    record = record_of("noise", severity, shape, seed)
    turned = image.permute(*order).contiguous()
    signal = noise.measure(image, record)["signal_power"]
    moved = noise.measure(turned, record)
    assert moved["signal_power"] == pytest.approx(signal, rel=1e-5)
    power = signal * 10 ** (-record["snr_db"] / 10)
    seen = noise.apply_seen(turned, record | moved).permute(*np.argsort(order).tolist())
    assert seen.shape == shape
    excess = seen.double().square() - image.double().square()
    spread = power**2 + 2 * image.double().square() * power
    for axis in (axis for axis in range(3) if shape[axis] > 1):
        for half in (slice(shape[axis] // 2), slice(shape[axis] // 2, None)):
            part, variance = (values.movedim(axis, 0)[half] for values in (excess, spread))
            assert float(part.mean()) == pytest.approx(power, abs=5 * float(variance.sum()) ** 0.5 / part.numel())


@given(seed=seeds, shape=large, severity=st.floats(0.05, 1.0))
def test_noise_has_the_power_asked_for(seed, shape, severity):
    image = image_of(shape, seed)
    record = record_of("noise", severity, shape, seed)
    record |= artefacts.load("noise").measure(image, record)
    added = artefacts.load("noise").apply(image, record) - image
    measured_db = 10 * np.log10(float(image.square().mean() / added.abs().square().mean()))
    assert measured_db == pytest.approx(record["snr_db"], abs=0.3)


@given(seed=seeds, shape=large, severity=st.floats(0.05, 1.0), level=st.floats(0.5, 4.0))
def test_noise_is_rician_in_the_air_and_in_the_head(seed, shape, severity, level):
    """Half the volume is air, half of one brightness; the mean of each within five standard errors."""
    longest = int(np.argmax(shape))
    image = torch.zeros(shape)
    inside = image.movedim(longest, 0)[: shape[longest] // 2]
    inside[:] = 1.0
    record = record_of("noise", severity, shape, seed)
    sigma = 1 / level
    record |= {"signal_power": 2 * sigma**2 * 10 ** (record["snr_db"] / 10)}  # so that either part has this sigma
    seen = artefacts.load("noise").apply_seen(image, record)
    for brightness in (0.0, 1.0):
        found = seen[image == brightness].double()
        law = stats.rice(brightness / sigma, scale=sigma)
        assert float(found.mean()) == pytest.approx(law.mean(), abs=5 * law.std() / found.numel() ** 0.5)
        assert float(found.std()) == pytest.approx(law.std(), rel=0.08)
