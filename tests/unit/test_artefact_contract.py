"""What holds of every artefact, those that somebody adds included: a module is found by its file name."""

import json

import numpy as np
import pytest
import torch
from monai.metrics.regression import compute_ssim_and_cs
from phantom import CONFIG, SETTINGS, SPACING_MM, error, head, record_of
from torch.nn import functional as F

from decoupled_qc import artefacts
from decoupled_qc.errors import InputError
from decoupled_qc.seeds import rng_for
from decoupled_qc.simulation.kspace import SPACE, magnitude, rescale, to_complex_image, to_kspace

SHAPES = [(24, 32, 28), (17, 23, 20), (16, 16, 16), (31, 6, 25)]
every_artefact = pytest.mark.parametrize("name", artefacts.available())


def having(attribute):
    return [name for name in artefacts.available() if hasattr(artefacts.load(name), attribute)]


def test_the_papers_artefacts_in_the_order_of_acquisition():
    """Noise may change places with the spike, since both are added: before it, noise needs no k-space."""
    names = ["motion", "noise", "spike", "blur", "wrap"]
    assert sorted(names, key=lambda name: artefacts.load(name).CHAIN_POSITION) == names
    assert sorted(CONFIG["use_artefacts"]) == sorted(names)


@pytest.mark.parametrize(
    "names, n_pairs",
    [
        ([], 0),
        (["noise"], 0),
        (["motion", "bias", "noise"], 0),
        (["spike"], 1),
        (["motion", "spike", "noise", "blur", "wrap"], 1),
        (["motion", "bias", "noise", "spike", "zipper", "blur", "wrap"], 1),
        (["motion", "bias", "ghosting", "spike", "zipper", "blur", "wrap"], 1),
        (["ghosting", "noise", "spike"], 2),
    ],
)
def test_all_artefacts_of_a_scan_share_one_fft_pair(names, n_pairs, transforms, monkeypatch):
    """Each axis is transformed as often as said, and back as often; noise after ghosting takes the scan back.

    Motion has a one-dimensional transform of its own for each segment, and one back, besides those that move the head.
    """
    monkeypatch.setattr(artefacts.load("motion"), "moved", lambda image, matrix, shift: image)
    image = head()
    records = [record_of(name, 0.5, shape=image.shape) | {"axis": 0} for name in reversed(names)]
    corrupted = artefacts.corrupt(image, records)
    there = back = np.array([n_pairs, min(n_pairs, 1), min(n_pairs, 1)])
    for record in records:
        if record["artefact"] == "motion":
            n, along = image.shape[record["slow_axis"]], np.arange(3) == record["slow_axis"]
            segments, _ = artefacts.load("motion").trajectory(record, n)
            there, back = there + along * sum(len(segment) > 0 for segment in segments), back + along
    assert transforms == {"there": there.tolist(), "back": back.tolist()}
    assert (error(corrupted, image) > 0.01) == bool(names)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_only_the_axes_that_are_needed_are_transformed(axis, transforms):
    image, after = head(), (axis + 1) % 3
    ghosting, wrap = ({**record_of(name, 0.5, shape=image.shape), "axis": axis} for name in ("ghosting", "wrap"))
    artefacts.corrupt(image, [ghosting, wrap])
    expected = [int(other == axis) for other in range(3)]
    assert transforms == {"there": expected, "back": expected}
    blur = {**record_of("blur", 0.5, shape=image.shape), "axes": [axis, after]}
    artefacts.corrupt(image, [ghosting, blur])
    expected[axis] += 1
    expected[after] += 1
    assert transforms == {"there": expected, "back": expected}


@pytest.mark.parametrize("name", having("axes"))
def test_along_other_axes_a_transform_would_change_nothing(name, monkeypatch):
    image = head()
    record = record_of(name, 0.6, shape=image.shape)
    found = artefacts.corrupt(image, [record])
    monkeypatch.delattr(artefacts.load(name), "axes")
    assert torch.allclose(found, artefacts.corrupt(image, [record]), atol=1e-5)


@pytest.fixture
def transforms(monkeypatch):
    """How often each axis was transformed, there and back, by any transform of torch.fft: fft, irfft, fft2, rfftn, …"""
    done = {"there": [0, 0, 0], "back": [0, 0, 0]}
    names = [name for name in dir(torch.fft) if name.rstrip("2n").endswith("fft")]
    assert {"fft", "ifft", "rfft", "irfft", "hfft", "fft2", "ifft2", "fftn", "ifftn", "rfftn", "irfftn"} <= set(names)

    def counted(name):
        transform = getattr(torch.fft, name)
        default = {"2": (-2, -1), "n": (0, 1, 2)}.get(name[-1], -1)

        def count(signal, size=None, dim=default, **more):
            for axis in np.atleast_1d(dim):
                done["back" if name.startswith("i") else "there"][axis] += 1
            return transform(signal, size, dim, **more)

        return count

    for name in names:
        monkeypatch.setattr(torch.fft, name, counted(name))
    return done


def test_no_artefact_rescales_only():
    image = 3 * head() + 1
    assert torch.equal(artefacts.corrupt(image, []), rescale(image))


@every_artefact
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("local_probability", [0.0, 1.0])
def test_shape_type_range_and_finite(name, shape, local_probability):
    record = record_of(name, 0.8, shape=shape, local_probability=local_probability)
    corrupted = artefacts.corrupt(head(shape), [record])
    assert corrupted.shape == shape and corrupted.dtype == torch.float32
    assert corrupted.isfinite().all()
    assert corrupted.min() == 0 and corrupted.max() == 1


@every_artefact
def test_same_record_same_bits_and_other_seed_other_scan(name):
    image = head()
    record = record_of(name, 0.7, shape=image.shape, local_probability=1.0)
    first = artefacts.corrupt(image, [record])
    global_state = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    assert torch.equal(first, artefacts.corrupt(image, [record]))
    assert torch.equal(global_state[0], torch.get_rng_state())
    for before, after in zip(global_state[1], np.random.get_state(), strict=True):  # noqa: NPY002
        assert np.array_equal(before, after)  # the place in its numbers, too
    assert any(
        not torch.equal(first, artefacts.corrupt(image, [record_of(name, 0.7, shape=image.shape, seed=seed)]))
        for seed in (1, 2, 3)
    )


@every_artefact
def test_the_clean_scan_is_left_as_it_is(name):
    image = head()
    before = image.clone()
    artefacts.corrupt(image, [record_of(name, 1.0, shape=image.shape, local_probability=1.0)])
    assert torch.equal(image, before)


@every_artefact
def test_damage_grows_with_severity(name):
    image = head((24, 32, 28))

    def damage(severity):
        records = [record_of(name, severity, shape=image.shape, seed=seed) for seed in range(12)]
        return np.mean([error(artefacts.corrupt(image, [record]), image) for record in records])

    slight, middling, heavy = (damage(severity) for severity in (0.05, 0.5, 1.0))
    assert 0 < slight < middling < heavy
    assert heavy > 1.2 * slight


@pytest.mark.parametrize("name", ["bias", "blur", "ghosting", "motion", "noise", "spike", "wrap", "zipper"])
def test_the_least_severity_above_zero_is_a_jump_from_the_clean_scan_but_for_motion(name):
    """A pair of settings begins with the weakest strength, which for motion alone is nothing."""
    image = head((24, 32, 28))
    none, least, slight = (
        artefacts.corrupt(image, [record_of(name, severity, shape=image.shape)]) for severity in (0.0, 1e-6, 1e-4)
    )
    assert torch.equal(none, image)
    assert (error(least, image) > 1e-3) == (name != "motion")
    assert error(slight, least) < 1e-4  # no other jump beside it


@every_artefact
def test_severity_changes_the_strength_and_not_the_realisation(name):
    """A sweep shows one artefact getting stronger, so nothing random may depend on the severity."""
    weak, strong = (rng_for(0, name) for _ in range(2))
    for rng, severity in ((weak, 0.2), (strong, 0.9)):
        artefacts.sample_record(name, severity, (24, 32, 28), SPACING_MM, rng, SETTINGS[name], local_probability=0.5)
    assert weak.random() == strong.random()


@every_artefact
def test_completed_record_gives_the_same_bits(name):
    image = head()
    record = record_of(name, 0.6, shape=image.shape)
    saved = json.loads(json.dumps(artefacts.complete(image, [record])))
    assert torch.equal(artefacts.corrupt(image, saved), artefacts.corrupt(image, [record]))


@pytest.mark.parametrize("name", having("apply_seen"))
def test_the_shorter_way_to_the_magnitude_leads_to_the_same_scan(name, monkeypatch):
    image = head()
    record = record_of(name, 0.6, shape=image.shape)
    short = artefacts.corrupt(image, [record])
    monkeypatch.delattr(artefacts.load(name), "apply_seen")
    assert torch.allclose(short, artefacts.corrupt(image, [record]), atol=1e-6)


@pytest.mark.parametrize("name", having("measure"))
def test_what_is_measured_is_named_and_not_measured_twice(name, monkeypatch):
    image, module = head(), artefacts.load(name)
    record = record_of(name, 0.6, shape=image.shape)
    assert module.measure(image, record).keys() == set(module.MEASURES)
    (completed,) = artefacts.complete(image, [record])
    found = artefacts.corrupt(image, [completed])
    monkeypatch.delattr(module, "measure")
    assert torch.equal(artefacts.corrupt(image, [completed]), found)


@every_artefact
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_cpu_and_gpu_agree(name):
    image = head()
    record = record_of(name, 0.7, shape=image.shape)
    on_gpu = artefacts.corrupt(image.cuda(), [record]).cpu()
    assert torch.allclose(on_gpu, artefacts.corrupt(image, [record]), atol=1e-3)


def test_composition_follows_the_acquisition_and_not_the_list():
    image = head()
    blur, noise = (record_of(name, 0.5, shape=image.shape) for name in ("blur", "noise"))
    both = artefacts.corrupt(image, [blur, noise])
    assert torch.equal(both, artefacts.corrupt(image, [noise, blur]))
    # Noise comes first, so that the blur takes most of it away.
    added = error(both, artefacts.corrupt(image, [blur]))
    assert added < 0.8 * error(artefacts.corrupt(image, [noise]), image)


def test_noise_and_spike_are_measured_on_the_clean_scan_whatever_came_before():
    image = head()
    spike = record_of("spike", 1.0, shape=image.shape)
    noise = record_of("noise", 0.5, shape=image.shape)
    alone, together = (artefacts.complete(image, records)[-1] for records in ([noise], [spike, noise]))
    assert alone == together
    assert alone["signal_power"] == pytest.approx(float(image.square().mean()))


@pytest.mark.parametrize("name", ["noise", "spike", "zipper"])
def test_what_is_measured_on_the_clean_scan_is_not_measured_again_after_an_earlier_artefact(name):
    image, module = head(), artefacts.load(name)
    earlier, record = (record_of(each, 1.0, shape=image.shape) for each in ("bias", name))
    biased = artefacts.load("bias").apply(image, earlier)
    axes = () if module.DOMAIN == "image" else SPACE

    def by_hand(measured_on):
        told = record | module.measure(measured_on, record)
        return rescale(magnitude(to_complex_image(module.apply(to_kspace(biased, axes), told), axes)))

    found = artefacts.corrupt(image, [record, earlier])
    assert torch.allclose(found, by_hand(image), atol=1e-5)
    assert error(found, by_hand(biased)) > 1e-3


@every_artefact
def test_local_artefact_leaves_the_far_side_alone(name):
    image = head()
    record = record_of(name, 0.8, shape=image.shape)
    record["local"] = {"axis": 1, "centre": 0.5, "width": 0.05, "far_side": True}
    corrupted = artefacts.corrupt(image, [record])
    half = image.shape[1] // 2
    near, far = (slice(None), slice(0, half - 6)), (slice(None), slice(half + 6, None))

    def correlation(part):  # blind to the min-max scaling
        return np.corrcoef(corrupted[part].numpy().ravel(), image[part].numpy().ravel())[0, 1]

    assert correlation(near) == pytest.approx(1, abs=1e-5)
    assert correlation(far) < 0.9999


def test_local_share_follows_its_probability():
    records = [record_of("blur", 0.5, shape=(24, 32, 28), seed=seed, local_probability=0.5) for seed in range(200)]
    share = np.mean([record["local"] is not None for record in records])
    assert 0.4 < share < 0.6
    globally = [record_of("blur", 0.5, shape=(24, 32, 28), seed=seed) for seed in range(200)]
    assert [record["axes"] for record in records] == [record["axes"] for record in globally]


@pytest.mark.parametrize(
    "image, reason",
    [
        (torch.zeros(8, 8), "three axes"),
        (torch.zeros(1, 1, 8, 8, 8), "three axes"),
        (torch.full((8, 8, 8), 0.3), "constant"),
        (torch.eye(8).expand(8, 8, 8) * float("nan"), "NaN"),
        (torch.eye(8).expand(8, 8, 8) / 0, "infinite"),
        (torch.eye(8).expand(8, 8, 8) - 0.1, "use corrupt_in_range"),
    ],
)
def test_images_that_cannot_be_used_are_refused(image, reason):
    with pytest.raises(InputError, match=reason):
        artefacts.corrupt(image, [record_of("blur", 0.5, shape=(8, 8, 8))])


@every_artefact
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_computed_in_single_and_given_back(name, dtype):
    image = head().to(dtype)
    record = record_of(name, 0.6, shape=image.shape)
    corrupted = artefacts.corrupt(image, [record])
    assert corrupted.dtype == dtype
    assert torch.equal(corrupted, artefacts.corrupt(image.float(), [record]).to(dtype))


def test_whole_numbers_are_refused():
    with pytest.raises(InputError, match="torch.int16 cannot hold"):
        artefacts.corrupt((1000 * head()).short(), [record_of("blur", 0.5, shape=head().shape)])


def test_channels_keep_their_ranges_and_tell_what_was_measured_on_each():
    image = torch.stack([4 * head() - 2, head() ** 2])
    noise, motion = (record_of(name, 0.6, shape=head().shape) for name in ("noise", "motion"))
    corrupted, records = artefacts.corrupt_channels(image, [[noise, motion]] * 2)
    for channel, found, (told, moved) in zip(image, corrupted, records, strict=True):
        assert torch.equal(found, artefacts.corrupt_in_range(channel, [noise, motion]))
        assert told["signal_power"] == pytest.approx(float(rescale(channel).square().mean()), rel=1e-5)
        assert moved["residual_shift_voxels"] >= 0
    with pytest.raises(InputError, match="2 channels has 1 lists"):
        artefacts.corrupt_channels(image, [[noise]])


@pytest.mark.parametrize(("shape", "n_records"), [((2, 8, 8, 8), 2), ((2, 1, 8, 8, 8), 1)])
def test_a_batch_of_another_shape_or_without_its_records_is_refused(shape, n_records):
    with pytest.raises(InputError, match="one list for each"):
        artefacts.corrupt_batch(torch.rand(shape), [[]] * n_records)


def test_one_more_artefact_is_one_file_and_one_entry_in_the_config(tmp_path, monkeypatch):
    (tmp_path / "fading.py").write_text(
        "CHAIN_POSITION, DOMAIN = 5, 'kspace'\n"
        "def sample(severity, shape, spacing_mm, rng, *, share): return {'severity': severity, 'share': share[1]}\n"
        "def apply(kspace, record): return kspace.mul_(1 - record['share'])\n"
    )
    monkeypatch.setattr(artefacts, "FOLDER", tmp_path)
    monkeypatch.setattr(artefacts, "__path__", [str(tmp_path)])
    assert artefacts.available() == ["fading"]
    settings, image = {"share": [0.0, 0.5]}, head()
    record = artefacts.sample_record("fading", 1.0, image.shape, 1.0, rng_for(0), settings, local_probability=0.0)
    assert torch.allclose(artefacts.corrupt_in_range(image, [record]), image, atol=1e-5)  # scaling undoes a factor
    record["local"] = {"axis": 1, "centre": 0.5, "width": 0.01, "far_side": True}
    ratio = (artefacts.corrupt(image, [record])[image > 0.1] / image[image > 0.1]).reshape(-1)
    assert ratio.max() == pytest.approx(2 * float(ratio.min()), rel=1e-3)  # where it is, half is left
    with pytest.raises(InputError, match="missing key 'share'"):
        artefacts.check_settings("fading", {})


def test_unknown_artefact_names_the_file_to_create():
    with pytest.raises(InputError, match="src/decoupled_qc/artefacts/eddy.py"):
        artefacts.load("eddy")


def test_settings_that_do_not_fit_are_named():
    with pytest.raises(InputError, match="artefacts.noise: unknown key 'snr', missing key 'snr_db'"):
        artefacts.check_settings("noise", {"snr": [20, -10], "signal_mask": "volume"})


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("blur", {"ratio": [0.5, 0.5]}),
        ("wrap", {"centre_fraction": [0, 0.04]}),
        ("wrap", {"fraction": [0.1, 1.5]}),
        ("wrap", {"every": [1, 5]}),
        ("ghosting", {"amplitude": [0.05, 1.1]}),
        ("ghosting", {"period_planes": [1.5, 8.0]}),
        ("zipper", {"n_planes": 0}),
        ("motion", {"time_range": [0.5, 1.5]}),
    ],
)
def test_settings_out_of_their_range_are_named(name, changes):
    chosen = SETTINGS[name] | changes
    with pytest.raises(InputError, match=f"artefacts.{name}.*{next(iter(changes))}.*: give"):
        artefacts.sample_record(name, 0.5, (8, 8, 8), 1.0, rng_for(0), chosen, local_probability=0.0)


@pytest.mark.parametrize("spacing_mm", [(1.0, 2.0), 0.0, (1.0, 1.0, float("nan"))])
def test_voxel_sizes_that_are_none_are_named(spacing_mm):
    with pytest.raises(InputError, match="Voxel sizes"):
        artefacts.sample_record("blur", 0.5, (8, 8, 8), spacing_mm, rng_for(0), SETTINGS["blur"], local_probability=0.0)


@pytest.mark.parametrize("severity", [-0.1, 1.1, float("nan")])
def test_severity_out_of_range_is_refused(severity):
    with pytest.raises(InputError, match="outside"):
        record_of("blur", severity, shape=(8, 8, 8))


def test_drawing_follows_its_probabilities():
    names = ["spike", "noise", "blur", "wrap", "motion"]
    rng = rng_for(0, "draw")
    chances = {"clean_probability": 0.5, "n_artefacts_probability": [0.6, 0.3, 0.1]}
    draws = [artefacts.draw_artefacts(names, rng, **chances) for _ in range(4000)]
    counts = np.bincount([len(drawn) for drawn in draws], minlength=4) / len(draws)
    assert counts == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.03)
    assert all(len(set(drawn)) == len(drawn) for drawn in draws)
    each = [np.mean([name in drawn for drawn in draws]) for name in names]
    assert each == pytest.approx([0.15] * 5, abs=0.03)  # (0.3 x 1 + 0.15 x 2 + 0.05 x 3) / 5
    assert {tuple(artefacts.draw_artefacts(["blur"], rng, **chances)) for _ in range(50)} == {(), ("blur",)}
    assert artefacts.draw_artefacts([], rng, **chances) == []


# Of a curve's steps, where one need not rise. Blur keeps whole planes, so that a little more may be none; a zipper in air
# changes nothing in the head until it outshines it. Larger moves may cancel each other; a plane more that wrap lacks may make
# up for others.
LEAST_RISE = {"blur": -1e-5, "zipper": -1e-5, "motion": -0.01, "wrap": -0.02}


@every_artefact
@pytest.mark.parametrize("shape", [(40, 48, 44), (37, 41, 39), (48, 36, 52)])
def test_one_minus_ssim_inside_the_head_rises_with_severity_at_every_size_of_the_phantom(name, shape):
    """Per size: on average over realisations, and in each of them but for those of LEAST_RISE."""
    image = head(shape)
    inside = F.avg_pool3d((image > 0.05).float()[None, None], 7, 1)[0, 0] > 0.5

    def effect(severity, seed):
        corrupted = artefacts.corrupt(image, [record_of(name, severity, shape=shape, seed=seed)])
        ssim, _ = compute_ssim_and_cs(corrupted[None, None], image[None, None], 3, (7,) * 3, (1.5,) * 3, 1.0, "uniform")
        return float(1 - ssim[0, 0][inside].mean())

    severities = [0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 1.0]
    curves = np.array([[effect(severity, seed) for severity in severities] for seed in range(4)])
    assert np.abs(curves[:, 0]).max() < 1e-5
    assert (np.diff(curves.mean(axis=0)) > 0).all()
    assert np.diff(curves, axis=1).min() > LEAST_RISE.get(name, 0)
