"""From a scan that is taken to the volumes that training reads."""

from pathlib import Path

import nibabel as nib
import nibabel.processing
import numpy as np
import pandas as pd
import pytest
from toy_cohort import MM, SHARES, admitted, find, head, write

from decoupled_qc.cohort import aseg, prepare, splits, tissues
from decoupled_qc.cohort.manifest import read_manifest
from decoupled_qc.cohort.subjects import write_manifest
from decoupled_qc.errors import InputError
from decoupled_qc.evaluation.metrics import dice

TOY_ATLAS = tissues.Atlas(np.zeros((2, 2, 2), np.float32), np.zeros((3, 2, 2, 2), np.float32), np.eye(4))
PREPARED = {"spacing_mm": 4.0, "registration_mm": 4.0, "best_rating": 1, "cache": Path("none"), "code": "x"}


@pytest.mark.parametrize("codes", ["RAS", "LPI", "PIR"])
@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_preparation_keeps_the_place_in_the_world(codes, kind, tmp_path):
    """Any storage order and type gives the same RAS volume: a bright voxel stays at its world millimetres."""
    values, label = head(0)
    values[30, 20, 10] = 3000
    turn = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(codes))
    turned = nib.Nifti1Image(values.astype(kind), np.diag([MM, MM, MM, 1])).as_reoriented(turn)
    found = prepare.isotropic(turned, MM)
    assert "".join(nib.aff2axcodes(found.affine)) == "RAS"
    brightest = np.unravel_index(found.get_fdata().argmax(), found.shape)
    assert np.allclose(found.affine @ [*brightest, 1], [60, 40, 20, 1])
    scaled = prepare.unit_range(found.get_fdata(dtype=np.float32))
    assert scaled.min() >= 0 and scaled.max() == 1


def test_prepared_batch_keeps_volumes_and_names_where_labels_come_from(bids, tmp_path):
    scans = find(bids).assign(role="test").head(2)
    folder = tmp_path / "batch"
    folder.mkdir()
    prepare.prepare_scans(scans, tmp_path / "no-atlas-needed", folder, **PREPARED)
    table = pd.read_csv(folder / "subjects.tsv", sep="\t")
    assert list(table["label_source"]) == ["provided"] * 2
    made = nib.load(folder / table["dseg"][0])
    assert np.allclose(nib.affines.voxel_sizes(made.affine), 4)
    grey_ml = (np.asanyarray(made.dataobj) == 2).sum() * 4**3 / 1000
    assert grey_ml == pytest.approx((head(0)[1] == 2).sum() * MM**3 / 1000, rel=0.05)


def test_a_batch_that_was_killed_does_not_label_a_finished_scan_again(bids, tmp_path, monkeypatch):
    """Nor does one that is made again; other settings, another scan or a damaged file do."""
    scans = find(bids).assign(role="test", dseg="").head(2)
    labelled, killed_at = [], {2}
    affine = np.diag([1.0, 1, 1, 1])
    monkeypatch.setattr(prepare, "read_atlas", lambda folder: TOY_ATLAS)

    def label(file, atlas, registration_mm):
        labelled.append(int(np.asanyarray(file.dataobj).sum()))
        if len(labelled) in killed_at:
            raise SystemExit(143)
        parts = np.random.default_rng(len(labelled)).dirichlet([1, 1.3, 1, 1], (100, 100, 100)).astype(np.float32)
        return [nib.Nifti1Image(parts[..., place], affine) for place in range(3)]

    monkeypatch.setattr(prepare, "classical_fractions", label)

    def made(name, **changes):
        folder = tmp_path / name
        folder.mkdir()
        prepare.prepare_scans(scans, bids, folder, **(PREPARED | {"cache": tmp_path / "cache"} | changes))
        return {path.name: path.read_bytes() for path in folder.glob("*_dseg.nii.gz")}

    with pytest.raises(SystemExit):
        made("killed")
    first = made("next")
    assert len(first) == 2 and len(labelled) == 3 and labelled[1] == labelled[2] != labelled[0]
    assert made("again") == first and len(labelled) == 3
    next((tmp_path / "cache").iterdir()).write_bytes(b"damaged")
    made("damaged")
    assert len(labelled) == 4
    made("other", registration_mm=3.0)
    assert len(labelled) == 6


def test_a_classical_label_of_an_implausible_volume_costs_its_subject_and_no_one_else(
    bids, tmp_path, monkeypatch, caplog
):
    write(bids, "sub-01", 11, name="acq-other_T1w")
    roles = ["train", "test", "test", "train", "train", "validation", "validation"]
    scans = find(bids).assign(role=roles, dseg="")
    monkeypatch.setattr(prepare, "read_atlas", lambda folder: TOY_ATLAS)

    def label(file, atlas, registration_mm):
        """Half of the head is grey matter, but for sub-01 nothing is."""
        parts = np.zeros((3, 50, 50, 50), np.float32)
        parts[1, :25] = not np.array_equal(file.dataobj, head(1)[0])
        return [nib.Nifti1Image(part, file.affine) for part in parts]

    monkeypatch.setattr(prepare, "classical_fractions", label)
    folder = tmp_path / "cohort/batch-0"
    folder.mkdir(parents=True)
    prepare.prepare_scans(scans, bids, folder, **(PREPARED | {"cache": tmp_path / "cache"}))
    reason = f"The classical label of {bids}/sub-01/anat/sub-01_T1w.nii.gz has 0 ml of grey matter, outside 300 to 1100"
    assert f"Subject sub-01 is left out: {reason}" in caplog.text
    with pytest.raises(InputError, match=f"No test subject is left: {reason}"):
        write_manifest([folder], tmp_path / "cohort/manifest.tsv")
    subjects = pd.read_csv(folder / "subjects.tsv", sep="\t")
    subjects.loc[0, "role"] = "test"
    subjects.to_csv(folder / "subjects.tsv", sep="\t", index=False)
    caplog.clear()
    write_manifest([folder], tmp_path / "cohort/manifest.tsv")
    found = read_manifest(tmp_path / "cohort/manifest.tsv")
    assert sorted(found["subject"]) == ["sub-00", "sub-02", "sub-03", "sub-04", "sub-05"] and reason in caplog.text


def test_whatever_ants_says_of_a_scan_names_it(bids, tmp_path, monkeypatch):
    def label(file, atlas, registration_mm):
        raise RuntimeError("itk::ERROR: all samples map outside the moving image")

    monkeypatch.setattr(prepare, "read_atlas", lambda folder: TOY_ATLAS)
    monkeypatch.setattr(prepare, "classical_fractions", label)
    (tmp_path / "batch").mkdir()
    scans = find(bids).assign(role="test", dseg="").head(1)
    with pytest.raises(
        InputError, match=r"sub-00_T1w.nii.gz cannot be labelled \(itk::ERROR: all samples.*: look at the scan"
    ):
        prepare.prepare_scans(scans, bids, tmp_path / "batch", **(PREPARED | {"cache": tmp_path / "cache"}))


def test_a_prepared_map_goes_back_onto_the_native_grid(tmp_path):
    """From an oblique scan of thick slices stored left to right backwards, by the two affines alone."""
    values, label = head(0)
    tilt = nib.eulerangles.euler2mat(0.2, 0.1, -0.15)
    affine = nib.affines.from_matvec(tilt @ np.diag([-MM, MM, 1.5 * MM]), [60, -40, -80])
    label = label[:, :, ::2].copy()  # squeezed along the slices: still one body, of unequal axes
    path = write(tmp_path, "sub-01", 0, values=values[:, :, ::2], label=label, affine=affine)
    nib.save(nib.Nifti1Image(label, affine), path.with_name("sub-01_dseg.nii.gz"))
    scans = find(tmp_path).assign(role="test")
    folder = tmp_path / "batch"
    folder.mkdir()
    prepare.prepare_scans(scans, tmp_path / "no-atlas", folder, **(PREPARED | {"spacing_mm": MM}))
    row = pd.read_csv(folder / "subjects.tsv", sep="\t").iloc[0]
    prepared, native = nib.load(folder / row["dseg"]), nib.load(row["source"])
    back = nib.processing.resample_from_to(prepared, native, order=0)
    assert back.shape == native.shape and np.allclose(back.affine, native.affine)
    assert dice(np.asanyarray(back.dataobj) == 2, label == 2) > 0.95
    shifted = nib.Nifti1Image(np.roll(np.asanyarray(back.dataobj), 2, axis=0), affine)
    assert dice(np.asanyarray(shifted.dataobj) == 2, label == 2) < 0.95  # which two voxels beside it would not be


def test_freesurfer_values_become_tissues():
    values = np.array([0, 4, 3, 42, 10, 53, 2, 41, 16, 1005, 2035])
    assert aseg.to_tissues(values).tolist() == [0, 1, 2, 2, 2, 2, 3, 3, 3, 2, 2]
    assert aseg.is_aseg(values) and not aseg.is_aseg(np.array([0, 2, 99]))


def test_batches_become_the_manifest_that_training_reads(bids):
    scans = splits.chosen(admitted(bids), splits.split(admitted(bids), SHARES, None, seed=1))
    folders = [bids / "cohort" / f"batch-{batch}" for batch in range(7)]  # one more than there are scans
    for batch, folder in enumerate(folders):
        folder.mkdir(parents=True)
        prepare.prepare_scans(scans.iloc[batch::7], bids, folder, **PREPARED)
    write_manifest(folders, bids / "cohort" / "manifest.tsv")
    found = read_manifest(bids / "cohort" / "manifest.tsv")
    assert sorted(found["subject"]) == [f"sub-{number:02d}" for number in range(6)]
    assert dict(zip(found["subject"], found["role"], strict=True)) == dict(
        zip(scans["subject"], scans["role"], strict=True)
    )


@pytest.mark.parametrize(("n_subjects", "n_batches"), [(1, 1), (5, 2), (7, 3), (2, 5)])
def test_batches_share_out_all_scans_and_keep_a_subject_whole(n_subjects, n_batches):
    subjects = np.repeat([f"sub-{number:02d}" for number in range(n_subjects)], 3)[::-1]
    scans = pd.DataFrame({"subject": subjects, "scan": np.arange(len(subjects))})
    parts = [prepare.of_batch(scans, batch, n_batches) for batch in range(n_batches)]
    assert sorted(pd.concat(parts)["scan"]) == scans["scan"].tolist()
    assert sum(part["subject"].nunique() for part in parts) == n_subjects
    assert max(map(len, parts)) - min(map(len, parts)) <= 3
