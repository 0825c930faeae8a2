"""A volume in another pose by four Fourier shears."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from phantom import head
from scipy import ndimage
from scipy.spatial.transform import Rotation

from decoupled_qc.simulation import rigid
from decoupled_qc.simulation.rigid import moved, shears

angles = st.lists(st.floats(-25, 25).filter(lambda angle: angle == 0 or abs(angle) > 1e-6), min_size=3, max_size=3)
sizes = st.lists(st.floats(0.5, 3.0), min_size=3, max_size=3)


def turn(angles_deg, spacing_mm=(1, 1, 1)):
    """Return a rotation as it is seen in voxels of a size."""
    size = np.array(spacing_mm)
    return Rotation.from_rotvec(angles_deg, degrees=True).as_matrix() * size / size[:, None]


def product(factors):
    """Return the 4 x 4 map that shears make, the first applied first to an image, so last to a place."""
    total = np.eye(4)
    for shear in factors:
        one = np.eye(4)
        one[shear.axis, :3] += shear.slopes
        one[shear.axis, 3] = shear.offset
        total = total @ one
    return total


@given(angles, sizes)
def test_product_of_the_shears_is_the_map_and_none_is_much_steeper(angles_deg, spacing_mm):
    matrix, shift = turn(angles_deg, spacing_mm), np.array([3.0, -1.5, 0.25])
    factors = shears(matrix, shift)
    assert len(factors) == 4 and factors[0].axis == factors[3].axis
    assert all(shear.slopes[shear.axis] == 0 for shear in factors)
    found = product(factors)
    assert np.allclose(found[:3, :3], matrix, atol=1e-7) and np.allclose(found[:3, 3], shift, atol=1e-7)
    steepest = max(np.abs(shear.slopes).max() for shear in factors)
    assert steepest <= 1.5 * np.abs(matrix - np.eye(3)).max() + 1e-9


@pytest.mark.parametrize("shape", [(40, 48, 44), (21, 31, 25)])
def test_a_shift_by_whole_voxels_moves_them_and_by_a_part_turns_the_phase(shape):
    image = head(shape)
    assert torch.allclose(
        moved(image, np.eye(3), np.array([2.0, -1.0, 3.0])), image.roll((-2, 1, -3), (0, 1, 2)), atol=1e-5
    )
    part = moved(image, np.eye(3), np.array([0.0, 0.4, 0.0]))
    ramp = torch.exp(2j * torch.pi * torch.fft.fftfreq(shape[1]) * 0.4)[:, None]
    expected = torch.fft.ifft(torch.fft.fft(image, dim=1) * ramp, dim=1).real
    assert (part - expected).abs().max() < 0.04  # at the highest frequency, and as lines are longer


def test_no_pose_is_no_change_bit_for_bit():
    image = head()
    assert moved(image, np.eye(3), np.zeros(3)) is image


@pytest.mark.parametrize("angles_deg", [(0.5, 0.3, 0.2), (5, 4, -3), (12, -8, 15)])
def test_noise_keeps_its_variance_and_turning_back_gives_the_image_again(angles_deg):
    """Trilinear interpolation leaves 0.3 of the variance at half a voxel's shift along each axis."""
    noise = torch.randn((64, 64, 64), generator=torch.Generator().manual_seed(0))
    shift = np.array([0.5, 0.5, 0.5])
    inner = (slice(20, -20),) * 3
    there = moved(noise, turn(angles_deg), shift)
    assert float(there[inner].var() / noise[inner].var()) == pytest.approx(1, abs=0.1)
    image = torch.from_numpy(ndimage.gaussian_filter(head((64, 64, 64)).numpy(), 1.0))
    back = turn(np.negative(angles_deg))
    again = moved(moved(image, turn(angles_deg), shift), back, -back @ shift)
    assert (again - image)[inner].abs().max() < 5e-3


def test_what_lies_at_one_end_does_not_come_in_at_the_other():
    """A neck that the field of view cuts is not to appear above the head."""
    image = torch.zeros(32, 32, 32)
    image[:, :, :6] = 1.0
    found = moved(image, np.eye(3), np.array([0, 0, -4.0]))  # four voxels up, as its last voxel below
    assert found[:, :, :9].min() > 0.9 and found[:, :, 12:].abs().max() < 0.15
    assert moved(torch.ones(24, 20, 22), turn([6, 4, 9]), np.array([3.0, 2, 1])).sub(1).abs().max() < 1e-5


def test_slabs_make_no_difference_and_threads_not_a_bit(monkeypatch):
    image, matrix, shift = head((40, 48, 44)), turn((5, 4, -3)), np.array([0.5, 1.5, -2.0])
    whole = moved(image, matrix, shift)
    monkeypatch.setattr(rigid, "SLAB_BYTES", 4096)  # as many slabs as there are planes
    found = {}
    for threads in (1, 2):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        found[threads] = moved(image, matrix, shift)
    assert torch.equal(found[1], found[2])
    assert torch.allclose(found[1], whole, atol=1e-5)


def test_a_volume_of_fewer_planes_than_slabs_is_moved(monkeypatch):
    image = torch.from_numpy(ndimage.gaussian_filter(np.random.default_rng(0).random((2, 1000, 800)), 3)).float()
    found = moved(image, turn((0, 0, 3)), np.array([0.0, 4.0, 0.0]))
    monkeypatch.setattr(rigid, "SLAB_BYTES", image.nbytes)
    assert torch.allclose(found, moved(image, turn((0, 0, 3)), np.array([0.0, 4.0, 0.0])), atol=1e-5)
    assert (found - image).abs().max() > 0.01


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_lines_are_shifted_alike_by_the_functions_of_a_gpu(axis):
    """PyTorch's, here on the CPU."""
    image, length = head((20, 22, 24)), 40
    bridge = np.linspace(0, 1, length - image.shape[axis], dtype=np.float32).reshape(
        [-1 if place == axis else 1 for place in range(3)]
    )
    phases = [
        rigid._phase(axis, other, np.linspace(-2, 2, image.shape[other]), length) for other in range(3) if other != axis
    ]
    slabs = rigid._shifted_in_slabs(image.numpy(), axis, bridge, phases)
    functions = rigid._along_axis(torch.cat, torch.fft.rfft, torch.fft.irfft, dim=axis)
    whole = rigid._shifted(image, axis, *map(torch.from_numpy, (bridge, *phases)), functions=functions)
    assert np.allclose(slabs, whole.numpy(), atol=1e-5)
