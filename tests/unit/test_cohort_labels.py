import os

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from decoupled_qc.cohort import shell, tissues
from decoupled_qc.cohort.absence import absence, mark_absent
from decoupled_qc.cohort.label import label_head, read_atlas
from decoupled_qc.cohort.surfaces import fill, read_surface
from decoupled_qc.cohort.volumes import bounding_box, cut, cut_affine, grow, read_ras
from decoupled_qc.errors import InputError
from decoupled_qc.seeds import rng_for

LEVELS = np.array([40.0, 110.0, 170.0])


def ball(shape, radius, centre=None):
    centre = (np.array(shape) - 1) / 2 if centre is None else centre
    axes = np.indices(shape) - np.reshape(centre, (3, 1, 1, 1))
    return np.sqrt((axes**2).sum(0)) < radius


@pytest.fixture(scope="module")
def brain():
    """Fractions of a folded white core in a grey sheet in fluid, and its noisy image."""
    shape = (56, 60, 52)
    angle = np.arctan2(*(np.indices(shape)[:2] - np.reshape([27.5, 29.5], (2, 1, 1, 1))))
    fold = 2.5 * np.cos(6 * angle)
    centre = np.reshape((np.array(shape) - 1) / 2, (3, 1, 1, 1))
    radius = np.sqrt(((np.indices(shape) - centre) ** 2).sum(0)) + fold
    masks = np.stack([(radius >= 18) & ball(shape, 23), (radius < 18) & (radius >= 14), radius < 14])
    fractions = np.stack([ndimage.gaussian_filter(mask.astype(np.float32), 0.7) for mask in masks])
    noise = rng_for(0, "noise").normal(0, 5, shape)
    return masks, fractions, np.maximum(np.einsum("k,kxyz->xyz", LEVELS, fractions) + noise, 0).astype(np.float32)


@pytest.fixture(scope="module")
def priors(brain):
    """What an atlas of many people would say: the same, blurred."""
    inside = brain[0].any(0)
    blurred = np.stack([ndimage.gaussian_filter(mask.astype(np.float32), 2.5) for mask in brain[0]])
    return (blurred / blurred.sum(0).clip(1e-6) * inside).astype(np.float32)


def test_the_mixture_finds_tissue_that_the_priors_only_hint_at(brain, priors):
    masks, _, image = brain
    fractions = tissues.classify(image, priors)
    total = fractions.sum(0)
    assert np.allclose(total[total > 0], 1, atol=1e-4)
    for tissue in range(3):
        found = (fractions.argmax(0) == tissue) & (total > 0.5) & masks.any(0)
        dice = 2 * (found & masks[tissue]).sum() / (found.sum() + masks[tissue].sum())
        blurred = (priors.argmax(0) == tissue) & masks.any(0)
        assert dice > 0.9 and dice > 2 * (blurred & masks[tissue]).sum() / (blurred.sum() + masks[tissue].sum())


def test_tissue_beyond_the_skull_is_dropped_and_speckle_becomes_fluid():
    fractions = np.zeros((3, 40, 40, 40), np.float32)
    fractions[2, 4:24, 4:24, 4:24] = 1  # the brain
    fractions[1, 30:40, 4:24, 4:24] = 1  # as much as scalp gives where a registration went astray
    fractions[1, 26, 30, 30] = 0.7
    fractions[0, 26, 30, 30] = 0.3
    kept = tissues.in_one_piece(fractions)
    assert np.array_equal(kept[:, :25], fractions[:, :25])
    assert not kept[:, 30:].any()
    assert np.allclose(kept[:, 26, 30, 30], [1, 0, 0])


def test_labels_are_the_same_every_time(brain, priors):
    assert np.array_equal(tissues.classify(brain[2], priors), tissues.classify(brain[2], priors))
    assert os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] == "1"


def test_every_other_voxel_gives_the_mixture_of_all(brain, priors, monkeypatch):
    some = tissues.classify(brain[2], priors)
    monkeypatch.setattr(tissues, "MIXTURE_EVERY", 1)
    assert np.abs(some - tissues.classify(brain[2], priors)).mean() < 2e-3


def test_bias_correction_flattens_white_matter(brain, priors):
    slope = np.exp(np.linspace(-0.4, 0.4, brain[2].shape[0]))[:, None, None].astype(np.float32)
    white = brain[1][2] > 0.99
    biased = brain[2] * slope
    corrected = tissues.correct_bias(biased, priors, np.eye(4))
    spread = [image[white].std() / image[white].mean() for image in (biased, corrected)]
    assert spread[1] < 0.7 * spread[0]


def test_foreground_is_the_head_without_ghosts_and_holes():
    head = ball((40, 44, 36), 14) * 100.0
    head[ball(head.shape, 5)] = 0
    head[1:4, 1:4, 1:4] = 100
    found = tissues.foreground(head + rng_for(0, "air").random(head.shape) * 3)
    assert found[ball(head.shape, 12)].all() and not found[:5, :5, :5].any()


@pytest.fixture(scope="module")
def sphere():
    """A triangulated sphere: an octahedron, each face divided five times."""
    points = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], float)
    faces = [points[[x, y, z]] for x in (0, 1) for y in (2, 3) for z in (4, 5)]
    for _ in range(5):
        halves = [(a, b, c, (a + b) / 2, (b + c) / 2, (c + a) / 2) for a, b, c in faces]
        parts = [((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)) for a, b, c, ab, bc, ca in halves]
        faces = [np.stack(part) for four in parts for part in four]
    corners = np.concatenate(faces)
    points, triangles = np.unique(np.round(corners, 9), axis=0, return_inverse=True)
    return points / np.linalg.norm(points, axis=1, keepdims=True), triangles.reshape(-1, 3)


def test_a_surface_is_filled_where_its_inside_is(sphere):
    """In voxels that are not 1 mm, off the origin, with the sphere partly outside the volume along one axis."""
    points, triangles = sphere
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = [-21.0, -30.0, -18.0]
    shape = (24, 30, 26)
    centre = np.array([3.0, -1.0, 28.0])
    filled = fill(points * 12.3 + centre, triangles, affine, shape)
    voxels = (centre - affine[:3, 3]) / 2
    expected = ball(shape, 12.3 / 2, voxels)
    assert (filled != expected).sum() < 0.01 * expected.sum() and filled[:, :, -1].any()


def test_an_unreadable_surface_is_named(tmp_path):
    (tmp_path / "wm.gii").write_text("not a surface")
    with pytest.raises(InputError, match="wm.gii"):
        read_surface(tmp_path / "wm.gii")


def test_boxes_may_reach_outside_and_keep_world_places():
    values = np.zeros((10, 12, 9))
    values[2:5, 3:9, 0:4] = 1
    box = grow(bounding_box(values > 0), [(1, 2), (5, 0), (3, 3)])
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = [7, 8, 9]
    part = cut(values, box)
    assert part.shape == (6, 11, 10) and part.sum() == values.sum()
    first = np.array(bounding_box(part > 0)[0].start), np.array(bounding_box(values > 0)[0].start)
    assert (cut_affine(affine, box) @ [first[0], 0, 0, 1])[0] == (affine @ [first[1], 0, 0, 1])[0]


def test_heads_are_read_in_ras_order_and_other_spacings_refused(tmp_path):
    values = rng_for(0, "head").random((4, 5, 6)).astype(np.float32)
    nib.save(nib.Nifti1Image(values, np.diag([-1.0, 1.0, 1.0, 1.0])), tmp_path / "las.nii.gz")
    read, affine = read_ras(tmp_path / "las.nii.gz", 1.0)
    assert np.array_equal(read, values[::-1]) and nib.aff2axcodes(affine) == ("R", "A", "S")
    nib.save(nib.Nifti1Image(values, np.diag([2.0, 1.0, 1.0, 1.0])), tmp_path / "flat.nii.gz")
    with pytest.raises(InputError, match="flat.nii.gz"):
        read_ras(tmp_path / "flat.nii.gz", 1.0)


@pytest.fixture(scope="module")
def average(tmp_path_factory):
    """Files of an average brain as a package would carry it."""
    folder = tmp_path_factory.mktemp("heads") / "average"
    folder.mkdir()
    shape = (60, 70, 60)
    edges = [(ball(shape, 20), 60), (ball(shape, 17), 60), (ball(shape, 12), 70)]
    image = ndimage.gaussian_filter(sum(mask * step for mask, step in edges).astype(np.float32), 1.0)
    image *= ball(shape, 20)
    grey = ndimage.gaussian_filter((edges[1][0] & ~edges[2][0]).astype(np.float32), 1.0)
    white = ndimage.gaussian_filter(edges[2][0].astype(np.float32), 1.0)
    for name, values in (("T1w", image), ("label-GM_probseg", grey * 255), ("label-WM_probseg", white * 255)):
        nib.save(nib.Nifti1Image(values.astype(np.uint8), np.eye(4)), folder / f"{name}.nii.gz")
    return folder


def test_an_average_brain_gets_a_synthetic_head(average, tmp_path):
    label_head("icbm152", average, average, tmp_path, registration_mm=4.0, seed=1)
    image = nib.load(tmp_path / "T1w.nii.gz").get_fdata()
    label = np.asarray(nib.load(tmp_path / "dseg.nii.gz").dataobj)
    assert image.min() == 0 and image.max() == 1
    brain = label > 0
    near = ndimage.distance_transform_edt(~brain)
    skull, scalp = (near > 4) & (near < 6), (near > 11) & (near < 16)
    upper = np.arange(image.shape[2]) > np.nonzero(brain.any((0, 1)))[0].mean()
    grey = np.median(image[label == 2])
    assert np.median(image[skull & upper]) < 0.6 * grey < grey < np.percentile(image[scalp & upper], 75)
    assert (image[(near > 30) & upper] == 0).all()
    table = pd.read_csv(tmp_path / "agreement.csv")
    assert list(table.columns) == ["anatomy", "structure", "reference", "measure", "value"]
    grey_ml = table.value[(table.structure == "GM") & (table.measure == "volume_ml")].item()
    assert grey_ml == pytest.approx((label == 2).sum() / 1000, abs=1e-3)


def test_synthetic_heads_differ_by_seed_only(brain):
    inside = brain[0].any(0)
    wide = np.pad(inside, 20)
    one, same, other = (shell.wrap(wide, rng_for(seed, "head")) for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def test_a_neck_continues_the_head_with_tissue_of_many_levels():
    outline = ball((80, 90, 3), 30)[:, :, 1]
    neck = shell.neck(outline, 20, rng_for(1, "neck"))
    assert neck.shape == (80, 90, 20) and (neck[~outline] == 0).all()
    areas = (neck > 0).sum((0, 1))
    assert areas[-1] > 0.9 * outline.sum() and (np.diff(areas) >= 0).all() and areas[0] < areas[-1]
    middle = neck[35:45, 35:55]
    assert (middle < 0.3).any() and ((middle > 0.5) & (middle < 0.8)).any() and (middle > 1).any()


def test_unsharp_masking_opens_folds_and_keeps_even_parts():
    shape = (40, 40, 40)
    image = ball(shape, 18) * 100.0
    fold = ball(shape, 18) & (np.abs(np.indices(shape)[0] - 19.5) < 1)
    image[fold] = 60
    average = np.where(ball(shape, 18), ndimage.gaussian_filter(image, 1.0), 0).astype(np.float32)
    sharp = shell.deblur(average)
    assert sharp[20, 20, 20] < average[20, 20, 20] - 5
    assert np.isclose(sharp[10, 20, 20], average[10, 20, 20], rtol=0.05)
    assert ((sharp > 0) == (average > 0)).all()


def test_fractions_sharpen_without_changing_their_sum(average):
    fractions = read_atlas(average).fractions
    sharp = shell.sharpen(fractions)
    assert np.allclose(sharp.sum(0), fractions.sum(0), atol=1e-5)
    assert (sharp.max(0) >= fractions.max(0) - 1e-6).all()


def test_an_absent_head_hands_its_reason_on(average, tmp_path):
    missing, out = tmp_path / "colin27", tmp_path / "out"
    missing.mkdir(), out.mkdir()
    mark_absent(missing, "offline")
    label_head("colin27", missing, average, out, registration_mm=4.0, seed=1)
    assert absence(out) == "offline" and len(list(out.iterdir())) == 1
