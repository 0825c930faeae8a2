import io
import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from decoupled_qc.cohort import fetch, labelmaps
from decoupled_qc.cohort.anatomies import LABELS, read_anatomy
from decoupled_qc.cohort.label import label_head
from decoupled_qc.cohort.stripping import MARGIN_MM, strip
from decoupled_qc.cohort.subjects import LABEL_MAP_SOURCE, Source, make_subjects
from decoupled_qc.cohort.warps import Warp
from decoupled_qc.errors import InputError
from decoupled_qc.files import sha256_of
from decoupled_qc.seeds import rng_for

WARP = {"fields": [{"amplitude_mm": 1.0, "smoothness_mm": 15.0}], "scale_sd": 0.03, "rotation_sd_deg": 3.0}
APPEARANCE = {
    "contrast": [0.3, 0.3],
    "shift_sd": 0.0,
    "outside_sd": 0.0,
    "outside_smoothness_mm": 15.0,
    "texture_sd": 0.0,
    "texture_smoothness_mm": 1.5,
    "bias_order": 3,
    "bias_coefficient": 0.0,
    "noise": [0.0, 0.0],
}
# Outer radius, mm → label: white matter, cortex, fluid, bone, soft tissue.
SHELLS = [(40, 507), (34, 515), (30, 24), (28, 3), (22, 2), (8, 4)]


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    """A label map of shells with a spine, stored with axes as FreeSurfer's are."""
    z, y, x = np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in (100, 100, 160)], indexing="ij")
    labels = np.zeros(x.shape, np.int32)
    distance = np.sqrt(x**2 + y**2 + z**2)
    for radius, label in SHELLS:
        labels[distance < radius] = label
    labels[(np.hypot(y, z) < 3) & (x < -40)] = 24  # fluid of the spine, down to the border
    folder = tmp_path_factory.mktemp("head")
    affine = np.array([[-1.0, 0, 0, 50], [0, 1, 0, -50], [0, 0, 1, -80], [0, 0, 0, 1]])
    nib.save(nib.Nifti1Image(labels, affine), folder / LABELS)
    return folder


@pytest.fixture(scope="module")
def anatomy_folder(head, tmp_path_factory):
    folder = tmp_path_factory.mktemp("anatomy")
    label_head("toy", head, None, folder, registration_mm=2.0, seed=1)
    return folder


def test_tissues_are_those_of_the_label_map_and_end_with_the_brain(head):
    labels, fractions, affine = labelmaps.read_label_map(head / LABELS)
    assert labels.dtype == np.uint16 and affine[0, 0] == 1
    assert fractions[1].sum() == (labels == 3).sum() and fractions[2].sum() == (labels == 2).sum()
    lowest = np.nonzero(fractions.any((0, 1, 2)))[0][0]
    assert lowest == np.nonzero((labels == 3).any((0, 1)))[0][0]  # no fluid of the spine
    assert lowest == labelmaps.NECK_MM


def test_paintings_differ_in_brightness_but_not_in_shape(head):
    labels, *_ = labelmaps.read_label_map(head / LABELS)
    depth_mm = labelmaps.depth(labels)
    one, other = (labelmaps.paint(labels, depth_mm, rng_for(seed, "paint")) for seed in (1, 2))
    for label in (2, 3, 4, 515):
        assert np.ptp(one[labels == label]) == 0
        assert one[labels == label][0] != other[labels == label][0]
    assert one[labels == 507].std() > 0.1  # a mixture of fat and muscle
    assert (one[labels == 0] == 0).all()
    assert one[labels == 4][0] < one[labels == 3][0] < one[labels == 2][0]  # as T1-weighted
    assert np.array_equal(one, labelmaps.paint(labels, depth_mm, rng_for(1, "paint")))


def test_brightness_spreads_as_stated(head):
    labels, *_ = labelmaps.read_label_map(head / LABELS)
    labels = labels[40:60, 40:60]
    depth_mm = labelmaps.depth(labels)
    drawn = np.array(
        [labelmaps.paint(labels, depth_mm, rng_for(seed, "spread"))[labels == 3][0] for seed in range(300)]
    )
    assert drawn.mean() == pytest.approx(0.68, abs=0.01)
    assert drawn.std() == pytest.approx(labelmaps.STRUCTURE_SD, rel=0.15)


def test_every_subject_has_a_look_of_its_own_and_the_map_survives_the_disk(head, anatomy_folder, tmp_path):
    anatomy = read_anatomy(anatomy_folder)
    assert np.array_equal(anatomy.labels, labelmaps.read_label_map(head / LABELS)[0])
    acquisition = {"resolution_mm": [1.0, 1.5], "resliced_fwhm_mm": [0.0, 2.0], "stripped_probability": 0.5}
    settings = {"spacing_mm": 3.0, "warp": WARP, "appearance": APPEARANCE, "acquisition": acquisition}
    make_subjects(anatomy_folder, tmp_path, anatomy="toy", n_subjects={"train": 8}, seed=6, **settings)
    table = pd.read_csv(tmp_path / "subjects.tsv", sep="\t")
    assert set(table.label_source) == {LABEL_MAP_SOURCE}
    assert 0 < table.stripped.sum() < 8
    levels = []
    for row in table.itertuples():
        image = nib.load(tmp_path / row.image).get_fdata()
        label = np.asanyarray(nib.load(tmp_path / row.dseg).dataobj)
        assert (label == 2).sum() > 100
        far = ndimage.distance_transform_edt(label < 2, sampling=3.0) > MARGIN_MM[1] + 6
        assert (image[far] == 0).all() == row.stripped
        levels.append(image[label == 1].mean() / image[label == 3].mean())
    assert np.std(levels) > 0.01


def test_a_coarser_scanner_blurs_along_its_own_axis(anatomy_folder):
    source = Source(read_anatomy(anatomy_folder), 1.0)
    points = np.stack(np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in source.shape], indexing="ij"))
    still = Warp(points.astype(np.float32), 1.0, 0.0)
    sharp, fractions = source.take(still, np.ones(3), rng_for(0, "look"))
    blurred, same = source.take(still, np.array([1.0, 1.0, 4.0]), rng_for(0, "look"))
    assert np.array_equal(fractions, same)  # labels are the anatomy's, not the scanner's
    edges = [np.square(np.diff(image, axis=axis)).mean() for image in (sharp, blurred) for axis in (0, 2)]
    across, along = edges[2] / edges[0], edges[3] / edges[1]
    assert along < 0.7 * across < 0.7


def test_stripping_keeps_the_brain_whole_and_little_else():
    radius = np.sqrt(sum(axis**2 for axis in np.meshgrid(*[np.arange(60) - 29.5] * 3, indexing="ij")))
    fractions = np.stack([radius < 5, (radius >= 15) & (radius < 20), (radius >= 5) & (radius < 15)]).astype(np.float32)
    scan = np.where(radius < 28, 0.5, 0.0).astype(np.float32)
    margins = []
    for seed in range(8):
        stripped = strip(scan, fractions, 1.0, rng_for(seed, "strip"))
        kept = stripped > 0
        assert kept[radius < 20].all() and stripped.max() == 1  # ventricles too
        margins.append(radius[kept].max() - 20)
    assert -0.5 < min(margins) < max(margins) < MARGIN_MM[1] + 1 and np.ptp(margins) > 1


def test_a_label_map_is_fetched_from_its_address_and_checked(head, tmp_path, monkeypatch):
    content = (head / LABELS).read_bytes()
    sha256 = sha256_of(head / LABELS)
    monkeypatch.setitem(
        fetch.HEADS,
        "toymap",
        fetch.Head("toy.nii.gz", "https://maps.invalid/toy.nii.gz", {"toy.nii.gz": LABELS}, sha256),
    )
    asked = []
    monkeypatch.setattr(fetch, "urlopen", lambda address, timeout: asked.append(address) or io.BytesIO(content))
    for attempt in ("first", "again"):
        (tmp_path / attempt).mkdir()
        fetch.fetch_head("toymap", tmp_path / "downloads", tmp_path / attempt, optional=False)
        assert (tmp_path / attempt / LABELS).read_bytes() == content
    assert asked == ["https://maps.invalid/toy.nii.gz"]  # kept in the downloads folder
    shutil.rmtree(tmp_path / "downloads")
    monkeypatch.setattr(fetch, "urlopen", lambda address, timeout: io.BytesIO(b"another file"))
    with pytest.raises(InputError, match="sha256"):
        fetch.fetch_head("toymap", tmp_path / "downloads", tmp_path / "first", optional=False)


def test_a_label_map_that_cannot_be_fetched_is_asked_for(tmp_path, monkeypatch):
    def offline(address, timeout):
        raise fetch.URLError("no network")

    monkeypatch.setattr(fetch, "urlopen", offline)
    with pytest.raises(
        InputError, match="training_seg_03.nii.gz is missing and could not be fetched .*go online, or put"
    ):
        fetch.fetch_head("synthseg03", tmp_path / "downloads", tmp_path, optional=False)
