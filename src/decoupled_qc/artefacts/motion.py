"""Head motion: the head lies in another rigid pose while another part of k-space is read.

1. Moves: a few big and some small ones, each a rotation (three Euler angles) and a shift; the pose after each is cumulative
   in log space, log C_i = log A_i + log C_(i-1), C_0 = I, A_i the inverse of [R | t] (it maps where a voxel is seen to
   where it came from). Beyond the paper the head may also drift, log C += (t - 1/2) log A, and breathe,
   log C += sin(2 pi t / T + phi) log A, over the acquisition t from 0 to 1; both are held for a step of N_STEPS, so
   that the period T is that of a slow breath, four steps or more.
2. Times: distinct, within a part of the acquisition; planes along a slow axis are read one after the other, so a
   segment is a run of planes. (The author's segments may begin within a plane; a move then costs one plane more.)
3. Demeaning: with weights w_s = sum over the segment's samples of exp(-|k|^2), k in samples from the centre, normalised,
   D_s = exp(log C_s - sum_s w_s log C_s). The pose at the centre of k-space decides where the head appears, so the
   scan stays in place and its label fits.
4. Each segment's planes are those of the volume in pose D_s, rotated about the head's centre, whatever the origin in the header
   and wherever the head lies in the field of view; what comes from beyond that is its nearest voxel. (The author pads by 20
   voxels and cuts them off afterwards; a scanner cannot. He rotates about the volume's centre, whose distance h from the head's
   adds a shift of (I - R) h to every pose: at 10 degrees 0.17 mm for each mm, so that cropping a scan would change its motion.)

Planes differ along the slow axis alone, so that one-dimensional transforms along it do: in the other two directions each would
be transformed to and fro. A pose costs four shears and a one-dimensional FFT of which its segment's planes are kept.

Source: Shaw et al. 2021, section 3, after Shaw et al. 2020 ("demeaned" sequence of affine transforms); steps as in the
first author's public code, numbers in the configuration. Shears in Fourier space instead of B-splines are our choice.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
import torch
from scipy.linalg import expm
from scipy.spatial.transform import Rotation
from torch import Tensor

from decoupled_qc.errors import InputError
from decoupled_qc.simulation.kspace import (
    along,
    at_severity,
    frequencies,
    magnitude,
    to_complex_image,
    to_kspace,
)
from decoupled_qc.simulation.rigid import moved

CHAIN_POSITION = 0
DOMAIN = "image"
MEASURES = ("centre_mm",)
MAX_BIG, MAX_SMALL = 5, 10  # moves in one scan, from the first author's code
N_STEPS = 32  # of the acquisition, in each of which drift and breathing stand still
SHORTEST_PERIOD = 4 / N_STEPS  # of breathing: with fewer steps in a period the form is lost, with two it is aliased
SMALL_ANGLE_RAD = 1e-3  # below it 1 / 12 is right to 2e-9
CORRELATION_WIDTH = 0.15  # of the band for phase correlation, cycles per voxel: where a head has its energy


def sample(
    severity: float,
    shape: tuple[int, int, int],
    spacing_mm: Sequence[float],
    rng: np.random.Generator,
    *,
    n_big_mean: float,
    n_small_mean: float,
    big_angle_sd_deg: Sequence[float],
    small_angle_sd_deg: Sequence[float],
    big_shift_sd_mm: Sequence[float],
    small_shift_sd_mm: Sequence[float],
    drift_angle_sd_deg: Sequence[float],
    drift_shift_sd_mm: Sequence[float],
    breathing_shift_mm: Sequence[float],
    breathing_period: Sequence[float],
    time_range: Sequence[float],
) -> dict:
    """Draw a sequence of moves.

    Args:
        severity: (0, 1].
        shape: Not used: moves are in mm and degrees.
        spacing_mm: Voxel size along each axis, mm.
        rng: Where the draws come from.
        n_big_mean, n_small_mean: Of the Poisson numbers of moves; if none is drawn there is one big move, unless both
            means are 0.
        big_angle_sd_deg, small_angle_sd_deg: At severity 0 and 1: standard deviation of an Euler angle, degrees.
        big_shift_sd_mm, small_shift_sd_mm: At severity 0 and 1: standard deviation of a shift along an axis, mm.
        drift_angle_sd_deg, drift_shift_sd_mm: At severity 0 and 1: standard deviation of an Euler angle, degrees, and of a
            shift along an axis, mm, from the begin of the acquisition to its end.
        breathing_shift_mm: At severity 0 and 1: amplitude of a periodic shift in a random direction, mm.
        breathing_period: Shortest and longest period, fractions of the acquisition, >= 4 / N_STEPS; uniform.
        time_range: In which moves happen, fractions of the acquisition, [0, 1]; 0.5 is the centre of k-space.

    Returns:
        ``slow_axis``; ``times``, rising; ``angles_deg`` and ``shifts_mm`` of each move; ``drift_angle_deg``,
        ``drift_shift_mm``; ``breathing_shift_mm``, ``breathing_period``, ``breathing_phase_rad``; ``spacing_mm``.

    Raises:
        InputError: A time is outside the acquisition, or a period of breathing too short for its steps.
    """
    breathes_too_fast = any(breathing_shift_mm) and min(breathing_period) < SHORTEST_PERIOD
    if breathes_too_fast or not 0 <= time_range[0] <= time_range[1] <= 1:
        raise InputError(
            f"Config block artefacts.motion has time_range {time_range} and breathing_period {breathing_period}: give times "
            f"from 0 to 1, rising, and periods of {SHORTEST_PERIOD} of the acquisition or more."
        )
    slow_axis = int(rng.integers(3))
    n_big, n_small = min(rng.poisson(n_big_mean), MAX_BIG), min(rng.poisson(n_small_mean), MAX_SMALL)
    if n_big + n_small == 0 and n_big_mean + n_small_mean > 0:
        n_big = 1
    angle_sd = [at_severity(big_angle_sd_deg, severity)] * n_big + [at_severity(small_angle_sd_deg, severity)] * n_small
    shift_sd = [at_severity(big_shift_sd_mm, severity)] * n_big + [at_severity(small_shift_sd_mm, severity)] * n_small
    order = rng.permutation(n_big + n_small)
    angles_deg = rng.standard_normal((n_big + n_small, 3)) * np.array(angle_sd)[:, None]
    shifts_mm = rng.standard_normal((n_big + n_small, 3)) * np.array(shift_sd)[:, None]
    times = np.sort(rng.uniform(*time_range, n_big + n_small))
    apart = rng.spawn(1)[0]  # so that moves are the same with drift and breathing as without
    drift_angle_deg = apart.standard_normal(3) * at_severity(drift_angle_sd_deg, severity)
    drift_shift_mm = apart.standard_normal(3) * at_severity(drift_shift_sd_mm, severity)
    direction = apart.standard_normal(3)
    breath = direction / np.linalg.norm(direction) * at_severity(breathing_shift_mm, severity)
    return {
        "severity": severity,
        "slow_axis": slow_axis,
        "times": times.tolist(),
        "angles_deg": angles_deg[order].tolist(),
        "shifts_mm": shifts_mm[order].tolist(),
        "drift_angle_deg": drift_angle_deg.tolist(),
        "drift_shift_mm": drift_shift_mm.tolist(),
        "breathing_shift_mm": breath.tolist(),
        "breathing_period": float(apart.uniform(*breathing_period)),
        "breathing_phase_rad": float(apart.uniform(0, 2 * math.pi)),
        "spacing_mm": [float(size) for size in spacing_mm],
    }


def apply(image: Tensor, record: dict) -> Tensor:
    """Put the scan together from planes of k-space read in different poses.

    Args:
        image: (D, H, W), float32 or complex64; its magnitude is what moves.
        record: From :func:`sample`, with the entries of :func:`measure`.

    Returns:
        (D, H, W), complex64.
    """
    # The slow axis is moved last, where its transforms and planes lie one after the other in memory.
    order = [axis for axis in range(3) if axis != record["slow_axis"]] + [record["slow_axis"]]
    still = magnitude(image).permute(order).contiguous()
    about_head = np.take(record["spacing_mm"], order), np.take(record["centre_mm"], order)
    kspace = torch.empty_like(still, dtype=torch.complex64)
    for segment, pose in zip(*trajectory(record, still.shape[-1]), strict=True):
        if segment:
            _read(kspace, _in_pose(still, pose[np.ix_([*order, 3], [*order, 3])], *about_head), segment)
    return torch.fft.ifft(kspace).movedim(-1, record["slow_axis"])


def measure(image: Tensor, record: dict) -> dict:
    """Return ``centre_mm``, about which the head turns: the centroid of its energy, from the volume's centre along each axis.

    sum |x|^2 u / sum |x|^2; the square, so that noise in a lot of air does not draw it to the volume's centre.

    Args:
        image: (D, H, W), float32, the clean scan.
        record: From :func:`sample`.
    """
    energy = image.square()
    along_two = energy.sum(2, dtype=torch.float64)
    profiles = along_two.sum(1), along_two.sum(0), energy.sum((0, 1), dtype=torch.float64)
    centre_mm = []
    for profile, n, size_mm in zip(profiles, image.shape, record["spacing_mm"], strict=True):
        place = (profile * torch.arange(n, device=profile.device)).sum() / profile.sum()
        centre_mm.append(round(float(place - (n - 1) / 2) * size_mm, 2))  # the same for any order of summation
    return {"centre_mm": centre_mm}


def trajectory(record: dict, n_planes: int) -> tuple[list[range], list[np.ndarray]]:
    """Return the planes of each segment and the demeaned pose D_s held meanwhile.

    Args:
        record: From :func:`sample`.
        n_planes: Along the slow axis.

    Returns:
        Segments, of which some may be empty; (4, 4) matrices in mm about the head's centre, each mapping a place in the
        scan to the place in the still head.
    """
    drift = _log_pose(record["drift_angle_deg"], record["drift_shift_mm"])
    breath = _log_pose([0, 0, 0], record["breathing_shift_mm"])
    steps = [step / N_STEPS for step in range(1, N_STEPS)] if drift.any() or breath.any() else []
    times = sorted([*record["times"], *steps])
    cuts = [0, *(round(time * n_planes) for time in times), n_planes]
    segments = [range(start, stop) for start, stop in zip(cuts, cuts[1:], strict=False)]
    after = [np.zeros((4, 4))]  # each number of moves
    for angles_deg, shift_mm in zip(record["angles_deg"], record["shifts_mm"], strict=True):
        after.append(after[-1] + _log_pose(angles_deg, shift_mm))
    log_poses = []
    for number, (start, end) in enumerate(zip([0.0, *times], [*times, 1.0], strict=True)):
        n_moves = bisect_right(record["times"], start) if number else 0
        log_poses.append(after[n_moves] + _swaying(record, drift, breath, (start + end) / 2))
    return segments, [expm(log_pose) for log_pose in demean(np.stack(log_poses), segments, n_planes)]


def _swaying(record: dict, drift: np.ndarray, breath: np.ndarray, time: float) -> np.ndarray:
    """Return the log pose that drift and breathing add at a time of the acquisition, [0, 1]."""
    phase = 2 * math.pi * time / record["breathing_period"] + record["breathing_phase_rad"]
    return (time - 0.5) * drift + math.sin(phase) * breath


def _log_pose(angles_deg: Sequence[float], shift_mm: Sequence[float]) -> np.ndarray:
    """Return log A (4, 4) of a rotation and a shift, A the inverse of [R | t].

    log [R | t] = [W | V^-1 t], W the cross product with the rotation vector of length a (radians), and
    V^-1 = I - W / 2 + (1 - (a / 2) cot(a / 2)) / a^2 W^2. SciPy's logm would draw from NumPy's global generator.

    Source: Murray, Li and Sastry 1994, A Mathematical Introduction to Robotic Manipulation, appendix A.2.
    """
    vector = Rotation.from_euler("xyz", angles_deg, degrees=True).as_rotvec()
    angle = np.linalg.norm(vector)
    turn = np.cross(np.eye(3), vector)
    second = 1 / 12 if angle < SMALL_ANGLE_RAD else (1 - angle / 2 / math.tan(angle / 2)) / angle**2
    log_move = np.zeros((4, 4))
    log_move[:3, :3] = turn
    log_move[:3, 3] = (np.eye(3) - turn / 2 + second * turn @ turn) @ shift_mm
    return -log_move


def demean(log_poses: np.ndarray, segments: Sequence[range], n_planes: int) -> np.ndarray:
    """Return the log poses less their mean, weighted by how near the centre of k-space each is held.

    The sum of exp(-|k|^2) over a plane is exp(-k^2) of its distance times a common factor.

    Args:
        log_poses: (S, 4, 4), one per segment.
        segments: Planes of each.
        n_planes: Along the slow axis.
    """
    weights = np.array([sum(math.exp(-((plane - n_planes // 2) ** 2)) for plane in segment) for segment in segments])
    return log_poses - np.tensordot(weights / weights.sum(), log_poses, axes=1)


def inspect(clean: Tensor, corrupted: Tensor) -> dict:
    """Return ``residual_shift_voxels``: how far the scan as a whole lies from the clean one, by phase correlation.

    Length of the shift at the peak of ifftn(g X Y* / |X Y*|), g a Gaussian low-pass, to a fraction of a voxel by a parabola.
    Higher is worse: the clean scan's label then no longer fits.

    Args:
        clean, corrupted: (D, H, W), float32.
    """
    cross = to_kspace(corrupted).mul_(to_kspace(clean).conj())
    cross /= cross.abs().clamp_(min=torch.finfo(torch.float32).tiny)
    for axis, n in enumerate(clean.shape):
        weight = torch.exp(-0.5 * (frequencies(n) / n / CORRELATION_WIDTH) ** 2)
        cross *= along(axis, weight).to(cross.device, torch.float32)
    correlation = to_complex_image(cross).real.cpu().numpy()
    peak = np.unravel_index(correlation.argmax(), correlation.shape)
    shift = []
    for axis, n in enumerate(correlation.shape):
        before, at, after = (correlation[_step(peak, axis, step, n)] for step in (-1, 0, 1))
        curvature = before - 2 * at + after
        offset = 0.5 * (before - after) / curvature if curvature < 0 else 0.0
        shift.append((peak[axis] + n // 2) % n - n // 2 + offset)  # beyond half the axis is a negative shift
    return {"residual_shift_voxels": float(np.linalg.norm(shift))}


def _step(index: Sequence[int], axis: int, step: int, n: int) -> tuple[int, ...]:
    """Return the neighbour of an index along an axis of n, around the end."""
    return tuple((place + step) % n if number == axis else place for number, place in enumerate(index))


def _in_pose(image: Tensor, pose: np.ndarray, spacing_mm: Sequence[float], centre_mm: Sequence[float]) -> Tensor:
    """Return the volume as it is where a pose takes each voxel.

    Args:
        image: (D, H, W), float32.
        pose: (4, 4), mm, about the head's centre.
        spacing_mm, centre_mm: Of the voxels; of the head, from the volume's centre; along each axis.
    """
    size, centre = np.array(spacing_mm), np.array(centre_mm)
    turn, shift = pose[:3, :3], pose[:3, 3]
    return moved(image, turn * size / size[:, None], (shift + centre - turn @ centre) / size)


def _read(kspace: Tensor, image: Tensor, segment: range) -> None:
    """Write a segment's planes of the one-dimensional FFT of a volume along the last axis into k-space.

    Args:
        kspace: (D, H, W), complex64, in the order of the FFT along the last axis.
        image: (D, H, W), float32.
        segment: Centred planes, one at least.
    """
    n = image.shape[-1]
    first, end = segment.start - n // 2, segment.stop - n // 2
    half = torch.fft.rfft(image)
    if first < 0:  # X[-k] = X[k]* of a real volume
        stop = min(end, 0)
        kspace[..., n + first : n + stop] = half[..., 1 - stop : 1 - first].flip(-1).conj()
    if end > 0:
        start = max(first, 0)
        kspace[..., start:end] = half[..., start:end]
