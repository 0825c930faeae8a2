import math

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from decoupled_qc.cohort.absence import absence, mark_absent
from decoupled_qc.cohort.anatomies import Anatomy, most_probable, read_anatomy, write_anatomy
from decoupled_qc.cohort.appearance import reslice, vary
from decoupled_qc.cohort.manifest import read_manifest
from decoupled_qc.cohort.subjects import Source, make_subjects, write_manifest
from decoupled_qc.cohort.warps import Warp, integrate, jacobian_determinant, random_warp
from decoupled_qc.errors import InputError
from decoupled_qc.files import sha256_of
from decoupled_qc.seeds import rng_for

LEVELS = np.array([0.2, 0.5, 0.8])  # CSF, grey and white matter
WARP = {
    "fields": [{"amplitude_mm": 2.0, "smoothness_mm": 15.0}, {"amplitude_mm": 1.0, "smoothness_mm": 8.0}],
    "scale_sd": 0.03,
    "rotation_sd_deg": 2.0,
}
APPEARANCE = {
    "contrast": [0.2, 0.4],
    "shift_sd": 0.02,
    "outside_sd": 0.2,
    "outside_smoothness_mm": 15.0,
    "texture_sd": 0.02,
    "texture_smoothness_mm": 1.5,
    "bias_order": 3,
    "bias_coefficient": 0.08,
    "noise": [0.01, 0.03],
}
PLAIN = APPEARANCE | {"contrast": [0.375, 0.375], "noise": [0.0, 0.0], "bias_coefficient": 0.0}
PLAIN["contrast_quantile"] = 0.5
PLAIN |= {key: 0.0 for key in ("shift_sd", "outside_sd", "texture_sd")}


@pytest.fixture(scope="module")
def anatomy():
    """A ball of white matter in a grey and a fluid shell, in a head, with an affine that is not centred."""
    shape = (60, 64, 56)
    axes = [np.arange(n) - (n - 1) / 2 for n in shape]
    radius = np.sqrt(sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij")))
    edges = [(16, 22), (10, 16), (-1, 10)]
    fractions = np.stack([(radius > low) & (radius <= high) for low, high in edges]).astype(np.float32)
    fractions = np.stack([ndimage.gaussian_filter(part, 0.6) for part in fractions])
    image = np.einsum("k,kxyz->xyz", LEVELS, fractions) + 0.9 * ((radius > 23) & (radius < 25))
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = [-31.0, 7.0, 12.5]
    return Anatomy(np.clip(image, 0, 1).astype(np.float32), fractions, affine)


@pytest.fixture
def folder(anatomy, tmp_path):
    path = tmp_path / "toy"
    path.mkdir()
    write_anatomy(path, anatomy)
    return path


def make(folder, out, numbers, seed=3):
    out.mkdir(parents=True)
    acquisition = {"resolution_mm": [1.0, 1.0], "resliced_fwhm_mm": [0.0, 0.0], "stripped_probability": 0.0}
    settings = {"spacing_mm": 2.0, "warp": WARP, "appearance": APPEARANCE, "acquisition": acquisition}
    make_subjects(folder, out, anatomy="toy", n_subjects=numbers, seed=seed, **settings)
    return out


def identity(shape, spacing_mm):
    axes = [(np.arange(n) - (n - 1) / 2) * spacing_mm for n in shape]
    return np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)


def test_warps_are_diffeomorphic():
    for number in range(5):
        warp = random_warp((40, 44, 36), 2.0, rng_for(0, number), **WARP)
        assert warp.min_jacobian > 0.2
        assert jacobian_determinant(warp.points_mm, 2.0).min() == pytest.approx(warp.min_jacobian)
        assert 2 < warp.max_displacement_mm < 40


def test_a_warp_that_folds_is_refused():
    rough = WARP | {"fields": [{"amplitude_mm": 40.0, "smoothness_mm": 4.0}]}
    with pytest.raises(InputError, match="folds"):
        random_warp((40, 44, 36), 2.0, rng_for(0, "rough"), **rough)


def test_the_jacobian_of_a_folded_map_is_negative():
    points = identity((12, 12, 12), 2.0)
    assert np.allclose(jacobian_determinant(points, 2.0), 1)
    assert np.allclose(jacobian_determinant(points * 1.1, 2.0), 1.1**3, rtol=1e-4)
    assert (jacobian_determinant(points * np.array([-1, 1, 1]).reshape(3, 1, 1, 1), 2.0) < 0).all()


def test_integration_follows_the_flow_and_its_inverse_undoes_it():
    constant = np.full((3, 10, 10, 10), 1.5, np.float32)
    assert np.allclose(integrate(constant, 4.0), 1.5, atol=1e-4)
    smooth = ndimage.gaussian_filter(rng_for(0, "v").standard_normal((3, 30, 30, 30)), (0, 4, 4, 4))
    smooth = (smooth / smooth.std() * 3).astype(np.float32)
    there, back = integrate(smooth, 4.0), integrate(-smooth, 4.0)
    places = np.indices(smooth.shape[1:], dtype=np.float32) + there / 4.0
    returned = there + np.stack([ndimage.map_coordinates(part, places, order=1, mode="nearest") for part in back])
    inside = (slice(None), *[slice(6, -6)] * 3)
    assert np.abs(returned[inside]).max() < 0.5 < np.abs(there[inside]).max()


def test_the_identity_keeps_the_head_and_its_place(anatomy):
    source = Source(anatomy, 1.0)
    image, fractions = source.take(Warp(identity(source.shape, 1.0), 1.0, 0.0), np.ones(3), rng_for(0, "look"))
    assert np.allclose(image, anatomy.image, atol=1e-4) and np.allclose(fractions, anatomy.fractions, atol=1e-4)
    assert np.allclose(source.affine, anatomy.affine)


def test_a_coarser_subject_lies_in_the_same_place(anatomy):
    source = Source(anatomy, 2.0)
    _, fractions = source.take(Warp(identity(source.shape, 2.0), 1.0, 0.0), np.ones(3), rng_for(0, "look"))

    def centre(volume, affine):
        return affine[:3, :3] @ ndimage.center_of_mass(volume) + affine[:3, 3]

    expected = centre(anatomy.fractions[2], anatomy.affine)
    assert np.allclose(centre(fractions[2], source.affine), expected, atol=0.05)
    assert fractions[1].sum() * 8 == pytest.approx(anatomy.fractions[1].sum(), rel=0.01)


def test_labels_follow_the_image(anatomy):
    """Without any change of looks, a warped image is dark, grey and bright where its label says so."""
    source = Source(anatomy, 2.0)
    warp = random_warp(source.shape, 2.0, rng_for(1, "warp"), **WARP)
    image, fractions = source.take(warp, np.ones(3), rng_for(1, "look"))
    scan, _ = vary(image, fractions, 2.0, rng_for(1, "look"), **PLAIN)
    label = most_probable(fractions)
    sure = fractions.max(0) > 0.99
    for tissue, level in enumerate(LEVELS, start=1):
        inside = scan[(label == tissue) & sure]
        assert len(inside) > 5 and np.allclose(inside, level / image.max(), atol=0.02)


@pytest.mark.parametrize("fwhm", [0.5, 1.18, 2.0])
def test_reslicing_smooths_a_scan_and_its_noise_by_a_gaussian_of_that_width(fwhm):
    """Of white noise it leaves the mean of exp(-(2 pi s f)^2) over frequencies, erf(pi s) / (2 sqrt(pi) s), along each axis."""
    sd = fwhm / math.sqrt(8 * math.log(2))
    noise = rng_for(0, "noise").standard_normal((60, 64, 57), dtype=np.float32)
    smooth = reslice(noise, fwhm)
    assert smooth.dtype == np.float32 and smooth.shape == noise.shape and smooth.min() == 0 and smooth.max() == 1
    scale = np.dot(smooth.ravel(), noise.ravel()) / np.dot(noise.ravel(), noise.ravel())  # of the min-max scaling
    share = [math.erf(math.pi * width * sd) / (2 * math.sqrt(math.pi) * width * sd) for width in (1, math.sqrt(0.5))]
    expected = (share[0] / share[1] ** 2) ** 3  # variance over the square of what is still alike
    assert smooth.var() / (scale**2 * noise.var()) == pytest.approx(expected, rel=0.05)
    along = np.exp(-0.5 * ((np.arange(41) - 20) / 2.0) ** 2)  # a blob of variance 4
    blob = np.einsum("i,j,k->ijk", along, along, along).astype(np.float32)
    profile = reslice(blob, fwhm)[20, 20].astype(float)
    assert (profile @ (np.arange(41) - 20) ** 2) / profile.sum() == pytest.approx(4 + sd**2, abs=0.01)


def test_no_reslicing_changes_no_bit():
    scan = rng_for(0, "scan").random((5, 6, 7), dtype=np.float32)
    assert np.array_equal(reslice(scan, 0.0), scan)


def test_contrast_is_what_was_drawn_and_reaches_partial_volume(anatomy):
    scans = {}
    for wanted in (0.375, 0.6):
        plain = PLAIN | {"contrast": [wanted, wanted]}
        scans[wanted], drawn = vary(anatomy.image, anatomy.fractions, 1.0, rng_for(0, "look"), **plain)
        assert drawn["contrast"] == pytest.approx(wanted)
    grey, white = (anatomy.fractions[k] > 0.999 for k in (1, 2))
    for wanted, scan in scans.items():
        assert 1 - scan[grey].mean() / scan[white].mean() == pytest.approx(wanted, rel=0.05)
    mixed = (anatomy.fractions[1] > 0.3) & (anatomy.fractions[2] > 0.3)
    assert (scans[0.6][mixed] < scans[0.375][mixed]).all()


def test_noise_is_rician_and_scans_fill_the_unit_range(anatomy):
    noisy, _ = vary(anatomy.image, anatomy.fractions, 1.0, rng_for(0, "look"), **(PLAIN | {"noise": [0.1, 0.1]}))
    assert noisy.min() == 0 and noisy.max() == 1 and noisy.dtype == np.float32
    air = noisy[:4]  # the head does not reach there
    white = noisy[anatomy.fractions[2] > 0.999]
    assert air.mean() == pytest.approx(white.mean() * 0.1 * np.sqrt(np.pi / 2), rel=0.05)
    assert white.std() == pytest.approx(white.mean() * 0.1, rel=0.08)


def test_a_spot_brighter_than_all_else_does_not_set_the_scale(anatomy):
    spotted = anatomy.image.copy()
    outside = np.argwhere((anatomy.fractions.sum(0) == 0) & (anatomy.image > 0.1))[0]
    spotted[tuple(outside)] = 50.0
    plain, _ = vary(anatomy.image, anatomy.fractions, 1.0, rng_for(0, "look"), **PLAIN)
    capped, _ = vary(spotted, anatomy.fractions, 1.0, rng_for(0, "look"), **PLAIN)
    white = anatomy.fractions[2] > 0.999
    assert capped[white].mean() == pytest.approx(plain[white].mean(), rel=0.02)


def test_a_subject_depends_on_seed_and_name_alone(folder, tmp_path):
    few = make(folder, tmp_path / "few", {"train": 1, "validation": 1, "test": 0})
    many = make(folder, tmp_path / "many", {"train": 3, "validation": 0, "test": 0})
    other = make(folder, tmp_path / "other", {"train": 1, "validation": 0, "test": 0}, seed=4)
    for name in ("sub-toy01_T1w.nii.gz", "sub-toy01_dseg.nii.gz", "sub-toy02_T1w.nii.gz"):
        assert (few / name).read_bytes() == (many / name).read_bytes()
    image = "sub-toy01_T1w.nii.gz"
    assert (few / image).read_bytes() != (other / image).read_bytes() != (few / "sub-toy02_T1w.nii.gz").read_bytes()


def test_contrasts_fill_their_range_evenly(folder, tmp_path):
    made = make(folder, tmp_path / "made", {"train": 0, "validation": 0, "test": 8})
    drawn = np.sort(pd.read_csv(made / "subjects.tsv", sep="\t").contrast)
    low, high = APPEARANCE["contrast"]
    gaps = np.diff([low, *drawn, high]) / (high - low)
    assert gaps.min() >= 0 and gaps.max() < 0.25


def test_subjects_are_recorded_with_their_warp_and_join_a_manifest(folder, tmp_path):
    made = make(folder, tmp_path / "cohort" / "subjects" / "toy", {"train": 2, "validation": 1, "test": 0})
    table = pd.read_csv(made / "subjects.tsv", sep="\t")
    assert list(table.role) == ["train", "train", "validation"]
    assert (table.min_jacobian > 0).all() and (table.max_displacement_mm > 0).all()
    write_manifest([made], tmp_path / "cohort" / "manifest.tsv")
    subjects = read_manifest(tmp_path / "cohort" / "manifest.tsv")
    assert subjects.image[0] == "subjects/toy/sub-toy01_T1w.nii.gz"
    for column in ("image", "dseg"):
        files = [tmp_path / "cohort" / name for name in subjects[column]]
        assert list(subjects[f"{column}_sha256"]) == [sha256_of(file) for file in files]
    image = nib.load(tmp_path / "cohort" / subjects.image[0])
    assert image.get_data_dtype() == np.float32 and np.allclose(image.header.get_zooms(), 2.0)
    dseg = nib.load(tmp_path / "cohort" / subjects.dseg[0])
    assert dseg.get_data_dtype() == np.uint8 and set(np.unique(dseg.dataobj)) == {0, 1, 2, 3}


def test_an_absent_head_gives_no_subject_and_hands_the_reason_on(folder, tmp_path):
    missing = tmp_path / "colin27"
    missing.mkdir()
    mark_absent(missing, "offline.")
    empty = make(missing, tmp_path / "cohort" / "subjects" / "colin27", {"train": 2, "validation": 0, "test": 0})
    assert absence(empty) == "offline." and len(list(empty.iterdir())) == 1
    made = make(folder, tmp_path / "cohort" / "subjects" / "toy", {"train": 1, "validation": 0, "test": 0})
    write_manifest([empty, made], tmp_path / "cohort" / "manifest.tsv")
    assert set(read_manifest(tmp_path / "cohort" / "manifest.tsv").anatomy) == {"toy"}


def test_an_anatomy_survives_the_disk(anatomy, folder):
    read = read_anatomy(folder)
    assert np.array_equal(read.image, anatomy.image) and np.allclose(read.fractions, anatomy.fractions, atol=0.003)
    assert np.allclose(read.affine, anatomy.affine)


def test_a_manifest_is_made_only_of_volumes_that_are_whole(folder, tmp_path):
    made = make(folder, tmp_path / "cohort" / "subjects" / "toy", {"train": 2, "validation": 0, "test": 0})
    damaged = made / "sub-toy02_T1w.nii.gz"
    damaged.write_bytes(damaged.read_bytes()[:-2000])
    with pytest.raises(InputError, match="sub-toy02_T1w.nii.gz cannot be read as NIfTI"):
        write_manifest([made], tmp_path / "cohort" / "manifest.tsv")
    assert not (tmp_path / "cohort" / "manifest.tsv").exists()
