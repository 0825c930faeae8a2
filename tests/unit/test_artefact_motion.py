import math

import numpy as np
import pytest
import torch
from phantom import ROOT, SETTINGS, SPACING_MM, head
from scipy import ndimage
from scipy.linalg import logm
from scipy.spatial.transform import Rotation

from decoupled_qc.artefacts import motion
from decoupled_qc.errors import InputError
from decoupled_qc.seeds import rng_for
from decoupled_qc.settings import artefact_settings
from decoupled_qc.simulation.kspace import magnitude, to_complex_image, to_kspace

STRONG = SETTINGS["motion"]
STEADY = {  # but for its moves
    "drift_angle_deg": [0, 0, 0],
    "drift_shift_mm": [0, 0, 0],
    "breathing_shift_mm": [0, 0, 0],
    "breathing_period": 0.1,
    "breathing_phase_rad": 0.0,
}


def sampled(severity, seed=0, **changes):
    record = motion.sample(severity, (40, 48, 44), [SPACING_MM] * 3, rng_for(seed, "motion"), **(STRONG | changes))
    return record | {"centre_mm": [0.0, 0.0, 0.0]}


def one_move(*, time, angles_deg=(0, 0, 0), shift_mm=(0, 0, 0), slow_axis=0):
    return {
        "slow_axis": slow_axis,
        "times": [time],
        "angles_deg": [angles_deg],
        "shifts_mm": [shift_mm],
        **STEADY,
        "spacing_mm": [SPACING_MM] * 3,
        "centre_mm": [0.0, 0.0, 0.0],
    }


@pytest.fixture
def as_measured(monkeypatch):
    """Poses as they come, not demeaned."""
    monkeypatch.setattr(motion, "demean", lambda log_poses, segments, n_planes: log_poses)


@pytest.fixture
def smooth():
    """A head without texture, which interpolation would change."""
    return torch.from_numpy(ndimage.gaussian_filter(head().numpy(), 2.0))


def centred(image):
    return torch.fft.fftshift(to_kspace(image))


def ramp(shape, shift_voxels):
    """Return exp(-2 pi i k d / n) on centred k-space: the Fourier shift theorem."""
    turns = sum(
        ((torch.arange(n) - n // 2) * d / n).reshape([n if place == axis else 1 for place in range(3)])
        for axis, (n, d) in enumerate(zip(shape, shift_voxels, strict=True))
    )
    return torch.polar(torch.ones_like(turns), -2 * math.pi * turns)


@pytest.mark.parametrize("slow_axis", [0, 1, 2])
@pytest.mark.parametrize("shape", [(40, 48, 44), (21, 31, 25)])
def test_planes_from_half_a_spectrum_are_those_of_the_whole(slow_axis, shape):
    image, n = head(shape), shape[slow_axis]
    image = image.movedim(slow_axis, -1)
    found, spectrum = torch.full_like(image, torch.nan, dtype=torch.complex64), torch.fft.fft(image)
    for segment in (range(0, 7), range(7, 8), range(8, n - 2), range(n - 2, n)):
        motion._read(found, image, segment)
    assert torch.allclose(found, spectrum, atol=1e-5 * float(spectrum.abs().max()))


def test_pose_held_throughout_rotates_the_image_about_its_centre_and_then_shifts_it(as_measured, smooth):
    angles_deg, shift_mm = (10, -12, 18), np.array([6.0, -2.0, 3.0])
    held = motion.apply(smooth, one_move(time=0.0, angles_deg=angles_deg, shift_mm=shift_mm))
    inverse = Rotation.from_euler("xyz", angles_deg, degrees=True).as_matrix().T
    centre = (np.array(smooth.shape) - 1) / 2
    offset = centre - inverse @ (centre + shift_mm / SPACING_MM)
    expected = ndimage.affine_transform(smooth.numpy(), inverse, offset, order=5, mode="nearest")
    assert np.abs(magnitude(held).numpy() - expected).max() < 2e-3
    assert np.abs(smooth.numpy() - expected).max() > 0.1  # it did move


def test_head_moves_alike_wherever_it_lies_in_the_field_of_view(smooth):
    """Motion of the head a few voxels further on is the motion, a few voxels further on: it turns about its own centre."""
    smooth = smooth * torch.from_numpy(np.pad(np.ones([n - 20 for n in smooth.shape], np.float32), 10))
    further = (6, -5, 3)
    moved_on = smooth.roll(further, (0, 1, 2))
    record = sampled(1.0, seed=0) | {"slow_axis": 1, "drift_angle_deg": [8, -5, 6]}

    def moved(image):
        return magnitude(motion.apply(image, record | motion.measure(image, record)))

    expected = moved(smooth).roll(further, (0, 1, 2))
    assert torch.allclose(moved(moved_on), expected, atol=4e-3)  # lines end elsewhere
    about_the_volume = magnitude(motion.apply(moved_on, record))
    assert (about_the_volume - expected).abs().max() > 0.02


def test_centre_of_the_head_is_that_of_its_energy_in_millimetres():
    image = torch.zeros(20, 31, 16)
    image[4:9, 20:25, 7:9] = 0.8
    record = {"spacing_mm": [1.0, 2.0, 3.0]}
    assert motion.measure(image, record)["centre_mm"] == [6 - 9.5, 2.0 * (22 - 15), 0.0]
    noisy = image + 0.02 * torch.rand(image.shape, generator=torch.Generator().manual_seed(0))
    assert motion.measure(noisy, record)["centre_mm"] == pytest.approx([-3.5, 14.0, 0.0], abs=1.0)


def test_pose_held_throughout_is_demeaned_away(smooth):
    held = motion.apply(smooth, one_move(time=0.0, angles_deg=(10, 5, 0), shift_mm=(9, 0, 4)))
    assert torch.allclose(magnitude(held), smooth, atol=1e-4)


def test_weighted_mean_of_the_demeaned_poses_is_the_identity():
    record = sampled(1.0, seed=3)
    segments, poses = motion.trajectory(record, 60)
    weights = np.array([np.exp(-((np.array(segment) - 30.0) ** 2)).sum() for segment in segments])
    logs = np.stack([logm(pose).real for pose in poses])
    assert np.abs(np.tensordot(weights, logs, axes=1) / weights.sum()).max() < 1e-6
    assert [plane for segment in segments for plane in segment] == list(range(60))


def test_poses_are_rigid_and_accumulate(as_measured):
    record = sampled(1.0, seed=5)
    _, poses = motion.trajectory(record, 60)
    for pose in poses:
        assert pose[:3, :3] @ pose[:3, :3].T == pytest.approx(np.eye(3), abs=1e-6)
        assert pose[3] == pytest.approx([0, 0, 0, 1], abs=1e-9)
    shifts_only = record | {"angles_deg": [[0, 0, 0]] * len(record["times"])}
    _, poses = motion.trajectory(shifts_only, 60)
    assert poses[-1][:3, 3] == pytest.approx(-np.sum(record["shifts_mm"], axis=0))


def test_scan_stays_in_place_with_demeaning_and_not_without(monkeypatch):
    """A residual shift can remain after demeaning (arXiv 2204.03522), so it is measured, in voxels of 1 mm.

    With voxels of 4 mm all but the largest moves would be within a voxel or two, demeaned or not.
    """
    image = head((64, 72, 68))

    def median_shift_mm():
        shifts = []
        for seed in range(8):
            record = sampled(1.0, seed, n_big_mean=3, time_range=[0.1, 0.5]) | {"spacing_mm": [1.0] * 3}
            moved = magnitude(motion.apply(image, record))
            shifts.append(motion.inspect(image, moved)["residual_shift_voxels"])
        return np.median(shifts)

    assert median_shift_mm() < 0.3
    monkeypatch.setattr(motion, "demean", lambda log_poses, segments, n_planes: log_poses)
    assert median_shift_mm() > 5


@pytest.mark.parametrize("overlay", [None, ROOT / "config/motion_public2020.yaml"], ids=["mild", "public2020"])
def test_half_of_the_scans_of_a_preset_at_its_strongest_stay_within_a_voxel(overlay):
    """With voxels of 1 mm; not demeaned the median is 4 voxels of mild, 9 of public2020."""
    image, settings = head((40, 48, 44)), artefact_settings(overlay)["motion"]
    shifts = []
    for seed in range(20):
        record = motion.sample(1.0, image.shape, [1.0] * 3, rng_for(seed, "preset"), **settings)
        moved = magnitude(motion.apply(image, record | motion.measure(image, record)))
        shifts.append(motion.inspect(image, moved)["residual_shift_voxels"])
    assert np.median(shifts) < 1


@pytest.mark.parametrize("shift", [(3, -2, 4), (0.5, 0, -1.5), (-15, 0, 0)])
def test_measured_shift_is_the_true_one(shift, smooth):
    moved = magnitude(to_complex_image(torch.fft.ifftshift(centred(smooth) * ramp(smooth.shape, shift))))
    assert motion.inspect(smooth, moved)["residual_shift_voxels"] == pytest.approx(np.linalg.norm(shift), abs=0.1)


def test_units_are_millimetres():
    """The same moves at half the voxel size are twice as many voxels."""
    poses = [motion.trajectory(sampled(1.0) | {"spacing_mm": [spacing] * 3}, 60)[1] for spacing in (1.0, 4.0)]
    assert np.array_equal(poses[0], poses[1])
    image = head()
    pose = np.eye(4)
    pose[0, 3] = 4.0
    assert torch.allclose(motion._in_pose(image, pose, [4.0] * 3, [0, 0, 0]), image.roll(-1, 0), atol=1e-5)
    assert torch.allclose(motion._in_pose(image, pose, [2.0] * 3, [0, 0, 0]), image.roll(-2, 0), atol=1e-5)


@pytest.mark.parametrize("spacing_mm", [(1.0, 2.0, 3.0), (2.0, 2.0, 0.8)])
def test_rotation_is_rigid_in_millimetres_where_voxels_are_not_cubes(spacing_mm, smooth):
    """A voxel's place is S i about the centre, so its source is S^-1 R S i: a shear in voxels, rigid in millimetres."""
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("xyz", [4, -7, 5], degrees=True).as_matrix()
    pose[:3, 3] = [1.5, -2.0, 0.7]
    scale = np.diag(spacing_mm)
    to_voxels = np.linalg.inv(scale)
    matrix = to_voxels @ pose[:3, :3] @ scale
    centre = (np.array(smooth.shape) - 1) / 2
    offset = centre - matrix @ centre + to_voxels @ pose[:3, 3]
    expected = ndimage.affine_transform(smooth.numpy(), matrix, offset, order=5, mode="nearest")
    found = motion._in_pose(smooth, pose, spacing_mm, [0, 0, 0])
    assert np.abs(found.numpy() - expected).max() < 2e-3


def test_motion_leaves_a_scanners_noise_as_it_is_but_for_what_a_magnitude_loses():
    """Planes k and -k come from different poses, so half of the noise of a real-valued image ends beside its signal's phase.

    Interpolated trilinearly it kept a quarter; a scan with motion would then be told by its smoothness.
    """
    image = 0.5 + torch.zeros(48, 48, 48)
    noise = 1e-3 * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    record = one_move(time=0.5, angles_deg=(12, -8, 10), shift_mm=(9, 5, -6))
    with_noise, without = (magnitude(motion.apply(one, record)) for one in (image + noise, image))
    inner = (slice(12, -12),) * 3
    kept = float((with_noise - without)[inner].var() / noise.var())
    assert kept == pytest.approx(0.5, abs=0.05)


def test_breathing_faster_than_its_steps_can_show_is_refused():
    with pytest.raises(InputError, match=r"breathing_period \[0.1, 0.5\]: .* 0.125 of the acquisition or more"):
        sampled(1.0, breathing_shift_mm=[0, 2], breathing_period=[0.1, 0.5])
    assert sampled(1.0, breathing_shift_mm=[0, 0], breathing_period=[0.02, 0.1])["breathing_shift_mm"] == [0, 0, 0]


def test_moves_follow_the_settings():
    records = [sampled(0.5, seed) for seed in range(400)]
    numbers = np.array([len(record["times"]) for record in records])
    assert numbers.min() >= 1
    expected = STRONG["n_big_mean"] + STRONG["n_small_mean"]
    assert numbers.mean() == pytest.approx(expected, rel=0.1)
    times = np.concatenate([record["times"] for record in records])
    assert times.min() >= STRONG["time_range"][0] and times.max() <= STRONG["time_range"][1]
    assert all(record["times"] == sorted(record["times"]) for record in records)
    assert set(np.bincount([record["slow_axis"] for record in records]) > 100) == {True}
    big = [sampled(0.5, seed, n_big_mean=50, n_small_mean=0) for seed in range(200)]
    assert {len(record["times"]) for record in big} == {motion.MAX_BIG}
    angles = np.concatenate([record["angles_deg"] for record in big])
    assert angles.std() == pytest.approx(STRONG["big_angle_sd_deg"][1] / 2, rel=0.1)


@pytest.mark.parametrize("severity", [0.3, 1.0])
@pytest.mark.parametrize("size", ["big", "small"])
def test_degrees_and_millimetres_spread_as_the_settings_say_at_each_severity(severity, size):
    swaying = {"drift_angle_sd_deg": [1, 4], "drift_shift_sd_mm": [0, 3], "breathing_shift_mm": [1, 2]}
    spread = {f"{size}_angle_sd_deg": [1, 8], f"{size}_shift_sd_mm": [2, 5]}
    only = {"n_big_mean": 0, "n_small_mean": 0} | {f"n_{size}_mean": 50}
    records = [sampled(severity, seed, **only, **spread, **swaying) for seed in range(300)]
    at = {key: low + (high - low) * severity for key, (low, high) in (spread | swaying).items()}

    def sd(entry):
        return np.concatenate([np.ravel(record[entry]) for record in records]).std()

    assert sd("angles_deg") == pytest.approx(at[f"{size}_angle_sd_deg"], rel=0.05)
    assert sd("shifts_mm") == pytest.approx(at[f"{size}_shift_sd_mm"], rel=0.05)
    assert sd("drift_angle_deg") == pytest.approx(at["drift_angle_sd_deg"], rel=0.1)
    assert sd("drift_shift_mm") == pytest.approx(at["drift_shift_sd_mm"], rel=0.1)
    amplitudes = [np.linalg.norm(record["breathing_shift_mm"]) for record in records]
    assert amplitudes == pytest.approx([at["breathing_shift_mm"]] * 300)


def test_drift_and_breathing_add_to_the_moves_and_keep_their_form(as_measured):
    """Shifts alone commute, so the pose is their plain sum: a jump, a ramp and a sine, each held over a step."""
    record = one_move(time=0.5, shift_mm=[8.0, 0, 0]) | {
        "drift_shift_mm": [0, 4.0, 0],
        "breathing_shift_mm": [0, 0, 2.0],
        "breathing_period": 0.25,
        "breathing_phase_rad": 0.3,
    }
    held = [(segment, pose) for segment, pose in zip(*motion.trajectory(record, 64), strict=True) if segment]
    segments, poses = zip(*held, strict=True)
    assert [len(segment) for segment in segments] == [2] * motion.N_STEPS
    middle = (np.arange(motion.N_STEPS) + 0.5) / motion.N_STEPS
    expected = -np.stack([8.0 * (middle > 0.5), 4.0 * (middle - 0.5), 2.0 * np.sin(2 * np.pi * middle / 0.25 + 0.3)], 1)
    assert np.allclose([pose[:3, 3] for pose in poses], expected, atol=1e-9)
    assert np.allclose([pose[:3, :3] for pose in poses], np.eye(3))


def test_breathing_turns_the_phase_of_each_plane_by_the_shift_held_there(as_measured, smooth):
    """The Fourier shift theorem plane by plane: a periodic phase error, which is what makes respiratory ghosts."""
    record = one_move(time=0.5) | {"breathing_shift_mm": [3.0, 0, 0], "breathing_period": 0.125}
    n = smooth.shape[0]
    shift_voxels = torch.zeros(n)
    for segment, pose in zip(*motion.trajectory(record, n), strict=True):
        shift_voxels[list(segment)] = -pose[0, 3] / SPACING_MM
    assert shift_voxels.min() < -0.5 and shift_voxels.max() > 0.5
    turns = (torch.arange(n) - n // 2) * shift_voxels / n
    phase = torch.polar(torch.ones(n), (-2 * math.pi * turns).float())[:, None, None]
    still = centred(smooth)
    read = centred(motion.apply(smooth, record))
    error, turned = (read - still * phase).norm() / still.norm(), (read - still).norm() / still.norm()
    assert error < 0.1 * turned


def test_only_drift():
    record = sampled(1.0, n_big_mean=0, n_small_mean=0, drift_shift_sd_mm=[0, 5])
    assert record["times"] == [] and np.abs(record["drift_shift_mm"]).max() > 0
    image = head()
    assert (magnitude(motion.apply(image, record)) - image).abs().max() > 0.05


@pytest.mark.parametrize("angles_deg", [(0, 0, 0), (1e-6, 0, 2e-6), (0.05, 0.03, 0), (4, -7, 11), (80, 40, -60)])
def test_log_of_a_move_is_the_matrix_logarithm_of_its_inverse(angles_deg):
    move = np.eye(4)
    move[:3, :3] = Rotation.from_euler("xyz", angles_deg, degrees=True).as_matrix()
    move[:3, 3] = (6.0, -3.0, 1.5)
    assert motion._log_pose(angles_deg, move[:3, 3]) == pytest.approx(logm(np.linalg.inv(move)).real, abs=1e-8)
