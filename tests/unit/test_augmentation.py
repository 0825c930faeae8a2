import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.spatial.transform import Rotation

from decoupled_qc.seeds import rng_for
from decoupled_qc.simulation.bias import bias_field
from decoupled_qc.simulation.kspace import rescale
from decoupled_qc.training.augmentation import _resample, augment

SETTINGS = dict(rotation_deg=10, scale=(0.9, 1.1), flip_probability=(0.5, 0.5, 0.5), bias_order=3, bias_coefficient=0.5)
NEUTRAL = dict(rotation_deg=0.0, scale=(1.0, 1.0), flip_probability=(0, 0, 0), bias_order=1, bias_coefficient=0)


@pytest.fixture
def blob():
    """A smooth, asymmetric volume that is not cubic."""
    volume = np.zeros((40, 52, 46), dtype=np.float32)
    volume[14:24, 18:36, 20:30] = 1
    volume[22:26, 30:34, 14:22] = 2
    return torch.from_numpy(ndimage.gaussian_filter(volume, 1.5))


def test_rotation_is_rigid_on_a_volume_that_is_not_cubic(blob):
    matrix = Rotation.from_euler("xyz", (12, -20, 33), degrees=True).as_matrix()
    ours, _ = _resample(blob, torch.zeros((1, *blob.shape), dtype=torch.uint8), matrix)
    centre = (np.array(blob.shape) - 1) / 2
    theirs = ndimage.affine_transform(blob.numpy(), matrix, centre - matrix @ centre, order=1)
    assert np.abs(ours.numpy() - theirs).max() < 2e-3


def test_label_follows_the_image(blob):
    label = (blob > 0.4).to(torch.uint8)
    rest = 1 - label
    image, (moved, other) = augment(
        label.float(), torch.stack([label, rest]), rng_for(0, "test"), **SETTINGS | {"bias_coefficient": 0}
    )
    overlap = 2 * ((image > 0.5) & (moved == 1)).sum() / ((image > 0.5).sum() + moved.sum())
    assert overlap > 0.97
    assert 0.7 < moved.sum() / label.sum() < 1.4
    assert not (moved & other).any() and (moved | other)[16:-16, 16:-16, 16:-16].all()


def test_flip_alone_mirrors_exactly(blob):
    settings = dict(rotation_deg=0, scale=(1, 1), flip_probability=(1, 1, 1), bias_order=1, bias_coefficient=0)
    image, _ = augment(blob / blob.max(), (blob > 1).to(torch.uint8)[None], rng_for(1, "test"), **settings)
    expected = (blob - blob.min()) / (blob.max() - blob.min())
    assert torch.allclose(image, expected.flip(0, 1, 2), atol=1e-4)


def test_bias_field_is_smooth_positive_and_one_in_the_middle():
    field = bias_field((31, 33, 35), rng_for(2, "bias"), order=3, coefficient=0.5)
    assert field.min() > 0
    assert field[15, 16, 17] == pytest.approx(1.0, abs=1e-5)
    assert field.log().diff(dim=0).abs().max() < 0.5


def test_the_same_draw_gives_the_same_bits(blob):
    label = (blob > 0.4).to(torch.uint8)
    first, second = (augment(blob, label[None], rng_for(3, "again"), **SETTINGS) for _ in range(2))
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])
    other = augment(blob, label[None], rng_for(4, "again"), **SETTINGS)
    assert not torch.equal(first[0], other[0])
    assert first[0].min() == 0 and first[0].max() == 1


def test_flips_alone_are_exact_and_the_same_as_by_resampling(blob):
    settings = SETTINGS | {
        "rotation_deg": 0.0,
        "scale": (1.0, 1.0),
        "flip_probability": (1.0, 0.0, 1.0),
        "bias_coefficient": 0,
    }
    label = (blob > blob.mean()).to(torch.uint8)
    image, moved = augment(blob, label[None], rng_for(5, "flips"), **settings)
    resampled, moved_too = _resample(blob, label[None], np.diag([-1.0, 1.0, -1.0]))
    assert torch.equal(moved[0], label.flip(0, 2)) and torch.equal(moved, moved_too)
    assert torch.allclose(image, rescale(resampled), atol=1e-5)


def gradient_rows(seed, **changes):
    """Return the matrix that an augmentation looks up voxels by, each row up to its length: by ramps along each axis."""
    side = 15
    rows = []
    for ramp in np.indices((side,) * 3, dtype=np.float32):
        image = torch.from_numpy(1 + ramp)  # outside it is 0
        moved, _ = augment(image, torch.ones(1, side, side, side), rng_for(seed, "turn"), **NEUTRAL | changes)
        middle = moved[5:10, 5:10, 5:10].numpy()
        gradient = np.array([np.gradient(middle, axis=axis).mean() for axis in range(3)])
        rows.append(gradient / np.linalg.norm(gradient))
    return np.stack(rows)


def test_rotation_deg_is_the_largest_angle_about_each_axis_and_all_up_to_it_are_as_likely():
    rows = np.stack([gradient_rows(seed, rotation_deg=10.0) for seed in range(80)])
    assert np.allclose(rows @ rows.transpose(0, 2, 1), np.eye(3), atol=1e-3)
    angles = Rotation.from_matrix(rows).as_euler("xyz", degrees=True)
    assert 9.5 < np.abs(angles).max() < 10.05
    assert angles.std(axis=0) == pytest.approx(np.full(3, 10 / np.sqrt(3)), rel=0.15)


def width(image, axis):
    """Return the standard deviation of a blob along an axis, voxels."""
    profile = image.sum(dim=[other for other in range(3) if other != axis]).double().numpy()
    places = np.arange(len(profile))
    centre = profile @ places / profile.sum()
    return np.sqrt(profile @ (places - centre) ** 2 / profile.sum())


@pytest.mark.parametrize("scale", [(0.9, 1.1), (1.0, 1.3)])
def test_scale_is_the_range_of_how_much_larger_a_head_becomes_along_each_axis(scale):
    along = np.exp(-0.5 * ((np.arange(35) - 17) / 3.0) ** 2)
    blob = torch.from_numpy(np.einsum("i,j,k->ijk", along, along, along).astype(np.float32))
    found = []
    for seed in range(80):
        image, _ = augment(blob, (blob > 0.5)[None].byte(), rng_for(seed, "zoom"), **NEUTRAL | {"scale": scale})
        found.append([width(image, axis) / width(blob, axis) for axis in range(3)])
    low, high = scale
    assert low - 0.01 < np.min(found) < low + 0.02 and high - 0.02 < np.max(found) < high + 0.01
    assert np.std(found, axis=0) == pytest.approx(np.full(3, (high - low) / np.sqrt(12)), rel=0.15)
    assert np.abs(np.corrcoef(np.transpose(found)) - np.eye(3)).max() < 0.4
