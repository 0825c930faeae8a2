"""A volume in another rigid pose, without loss: four shears, each of which shifts lines by the Fourier shift theorem.

Interpolation between voxels blurs: trilinear leaves about a quarter of the variance of a scanner's noise, so that a scan made of
moved volumes would be smooth however little the head moved, as no scan with motion is. A shift of a line by a phase ramp keeps
every frequency as it is, and shears along single axes, of which any rotation is a product, shift whole lines.

Source: Larkin et al. 1997 and Unser et al. 1995 (rotation by Fourier shears); Chen and Kaufman 2000 (four shears for any rotation
in three dimensions).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise, permutations
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft
from scipy.fft import next_fast_len
from torch import Tensor

from decoupled_qc.simulation.kspace import Array, along
from decoupled_qc.threads import side_by_side

ROUNDING = 1e-14  # of entries of a rotation matrix
STILL = 1e-6  # voxels: a shift that no one could see
FAST = 8  # transforms of a multiple of this many samples are faster than of many others
SLAB_BYTES = 2**21  # of a volume, shifted at a time by one thread: with its transforms about what the cache holds
BLEND = 4  # voxels from one end of a line to the other, beyond all that is shifted in


class Shear(NamedTuple):
    """A map of places u, in voxels about the volume's centre: u[axis] grows by slopes . u + offset; slopes[axis] is 0."""

    axis: int
    slopes: NDArray[np.float64]
    offset: float


def moved(image: Tensor, matrix: NDArray, shift: NDArray) -> Tensor:
    """Return a volume whose voxel u is the image's at matrix u + shift, u in voxels about the volume's centre.

    Beyond its ends a line goes on as its last voxel there; so does what one shear takes out of the volume and another back in.

    Args:
        image: (D, H, W), float32.
        matrix: (3, 3), of determinant 1: a rotation, seen in voxels that need not be cubes.
        shift: (3,), voxels.

    Returns:
        (D, H, W), float32; it may lie a little outside the image's range at sharp edges.

    Source: as of the module.
    """
    for shear in shears(matrix, shift):
        image = _sheared(image, shear)
    return image


def shears(matrix: NDArray, shift: NDArray) -> list[Shear]:
    """Return four shears whose product S1 S2 S3 S4 is the map u -> matrix u + shift; S1 is to be applied first to an image.

    The first and the last are along one axis. Of the six orders of axes the one with the smallest slopes is taken: where the
    head turns least about the axis that comes twice, no slope is much more than the tangent of an angle; in other orders some
    slopes may have no bound.

    Args:
        matrix: (3, 3), determinant 1.
        shift: (3,), voxels.
    """
    found = {order: _factors(matrix, *order) for order in permutations(range(3))}
    twice, first, second = order = min(found, key=lambda order: np.square(found[order]).sum())
    slopes = found[order]
    offsets = np.zeros(4)
    offsets[2] = shift[second]
    offsets[1] = shift[first] - slopes[1][second] * shift[second]
    offsets[0] = shift[twice] - slopes[0][first] * shift[first] - slopes[0][second] * shift[second]
    axes = (twice, first, second, twice)
    return [Shear(axis, row, float(offset)) for axis, row, offset in zip(axes, slopes, offsets, strict=True)]


def _factors(matrix: NDArray, twice: int, first: int, second: int) -> NDArray:
    """Return the slopes (4, 3) of shears along these axes and the first of them again; infinite where there are none.

    With M the matrix, d the last shear's slopes and N = M (I - e_twice d^T): N[second, second] = 1 and
    N[first, first] = 1 + N[first, second] N[second, first] by the product of the two shears between; both are linear in d.
    """
    m = matrix
    slopes = np.zeros((4, 3))
    last = slopes[3]
    last[second] = _ratio(m[second, second] - 1, m[second, twice])
    across = m[first, second] - last[second] * m[first, twice]
    last[first] = _ratio(1 + across * m[second, first] - m[first, first], across * m[second, twice] - m[first, twice])
    if not np.isfinite(last).all():
        return np.full((4, 3), np.inf)
    n = m - np.outer(m[:, twice], last)
    slopes[1][second] = n[first, second]
    slopes[2][[first, twice]] = n[second, [first, twice]]
    slopes[1][twice] = n[first, twice] - n[first, second] * n[second, twice]
    others = [first, second]
    slopes[0][others] = np.linalg.solve(n[np.ix_(others, others)].T, n[twice, others])
    return slopes


def _ratio(over: float, under: float) -> float:
    """Return over / under; 0 where there is nothing to divide, as for a turn about one axis, for which three shears do."""
    if abs(over) < ROUNDING:
        return 0.0
    return over / under if abs(under) > ROUNDING else math.nan


def _sheared(image: Tensor, shear: Shear) -> Tensor:
    """Return the image at the places where a shear takes its voxels, along each line by the Fourier shift theorem."""
    axis, n = shear.axis, image.shape[shear.axis]
    ramps = list(_shifts(image, shear))
    reach = math.ceil(sum(float(np.abs(shift).max()) for _, shift in ramps) - STILL)
    if reach <= 0:
        return image
    length = FAST * next_fast_len(-(-(n + 2 * reach + BLEND) // FAST), real=True)
    bridge = np.clip((np.arange(length - n) + 1 - reach) / (length - n + 1 - 2 * reach), 0, 1).astype(np.float32)
    bridge = along(axis, bridge)
    phases = [_phase(axis, other, shift, length) for other, shift in ramps]
    if image.is_cuda:
        on_device = [torch.from_numpy(array).to(image.device) for array in (bridge, *phases)]
        return _shifted(
            image, axis, *on_device, functions=_along_axis(torch.cat, torch.fft.rfft, torch.fft.irfft, dim=axis)
        )
    return torch.from_numpy(_shifted_in_slabs(image.numpy(), axis, bridge, phases))


def _shifted_in_slabs(lines: NDArray, axis: int, bridge: NDArray, phases: list[NDArray]) -> NDArray:
    """Return lines shifted by phase ramps, a slab of them at a time, which stays in the cache of the thread that shifts it.

    By SciPy's transforms: the bits of PyTorch's on a CPU depend on the number of threads.
    """
    functions = _along_axis(np.concatenate, fft.rfft, fft.irfft, axis=axis)
    across = 1 if axis == 0 else 0
    found = np.empty(lines.shape, np.float32)

    def shift(slab: tuple[slice, ...]) -> None:
        parts = [phase[slab] if phase.shape[across] > 1 else phase for phase in phases]
        found[slab] = _shifted(lines[slab], axis, bridge, *parts, functions=functions)

    n_slabs = min(max(1, lines.nbytes // SLAB_BYTES), lines.shape[across])
    edges = np.linspace(0, lines.shape[across], n_slabs + 1).astype(int)
    side_by_side(shift, (_part(across, slice(*pair)) for pair in pairwise(edges)))
    return found


def _shifted(lines: Array, axis: int, bridge: Array, *phases: Array, functions: Sequence[Callable]) -> Array:
    """Return lines shifted by phase ramps, with functions that join arrays, and transform them to and fro, along the lines.

    Such a shift is cyclic: what leaves at one end comes in at the other. So lines are made longer: they go on as their last
    voxel, then, by the weights of a bridge, over into their first, which lies before the beginning.
    """
    join, rfft, irfft = functions
    n = lines.shape[axis]
    first, last = lines[_part(axis, slice(0, 1))], lines[_part(axis, slice(n - 1, n))]
    closed = join([lines, last + (first - last) * bridge])
    spectrum = rfft(closed)
    for phase in phases:
        spectrum *= phase
    return irfft(spectrum, closed.shape[axis])[_part(axis, slice(0, n))]


def _along_axis(*functions: Callable, **axis: int) -> list[Callable]:
    """Return functions that work along an axis, by the name that their library has for it."""
    return [partial(function, **axis) for function in functions]


def _part(axis: int, part: slice) -> tuple[slice, ...]:
    """Return the index of a part of a volume along one axis."""
    return tuple(part if place == axis else slice(None) for place in range(3))


def _phase(axis: int, other: int, shift: NDArray, length: int) -> NDArray:
    """Return exp(2 pi i k s) for the frequencies k of lines along an axis and the shifts s that they have along another."""
    phase = np.exp(2j * math.pi * np.multiply.outer(shift, np.arange(length // 2 + 1) / length)).astype(np.complex64)
    shape = [1, 1, 1]
    shape[other], shape[axis] = phase.shape
    return np.ascontiguousarray(phase if other < axis else phase.T).reshape(shape)


def _shifts(image: Tensor, shear: Shear) -> Iterator[tuple[int, NDArray]]:
    """Yield each other axis and the shift, in voxels, that a line has by its place along it; the first has the offset too."""
    offset = shear.offset
    for other in (place for place in range(3) if place != shear.axis):
        middle = (image.shape[other] - 1) / 2
        yield other, shear.slopes[other] * (np.arange(image.shape[other]) - middle) + offset
        offset = 0.0
