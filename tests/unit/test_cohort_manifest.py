import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from decoupled_qc.cohort.absence import mark_absent
from decoupled_qc.cohort.manifest import check_volumes, read_manifest
from decoupled_qc.cohort.plan import anatomies_in_use, check_heads
from decoupled_qc.errors import InputError


def volume(path, shape=(4, 5, 6), affine=None):
    nib.save(nib.Nifti1Image(np.zeros(shape, np.float32), np.eye(4) if affine is None else affine), path)


@pytest.fixture
def rows(tmp_path):
    listed = [("sub-a01", "a", "train"), ("sub-a02", "a", "validation"), ("sub-b01", "b", "test")]
    for subject, _, _ in listed:
        volume(tmp_path / f"{subject}_T1w.nii.gz")
        volume(tmp_path / f"{subject}_dseg.nii.gz")
    return [
        {
            "subject": subject,
            "anatomy": anatomy,
            "role": role,
            "image": f"{subject}_T1w.nii.gz",
            "dseg": f"{subject}_dseg.nii.gz",
            "label_source": "toy",
        }
        for subject, anatomy, role in listed
    ]


@pytest.fixture
def refused(rows, tmp_path):
    def check(*named):
        with pytest.raises(InputError) as refusal:
            write(rows, tmp_path)
        assert all(word in str(refusal.value) for word in named), refusal.value

    return check


def write(rows, folder):
    pd.DataFrame(rows).to_csv(folder / "manifest.tsv", sep="\t", index=False)
    table = read_manifest(folder / "manifest.tsv")
    check_volumes(table, folder / "manifest.tsv")
    return table


def test_a_good_manifest_is_read(rows, tmp_path):
    assert list(write(rows, tmp_path).subject) == ["sub-a01", "sub-a02", "sub-b01"]


def test_missing_table(tmp_path):
    with pytest.raises(InputError, match="manifest.tsv is missing"):
        read_manifest(tmp_path / "manifest.tsv")


def test_missing_column(rows, refused):
    for row in rows:
        del row["dseg"]
    refused("manifest.tsv", "dseg")


def test_missing_image(refused, tmp_path):
    (tmp_path / "sub-a02_T1w.nii.gz").unlink()
    refused("sub-a02_T1w.nii.gz", "sub-a02")


@pytest.mark.parametrize("damage", [lambda content: b"not a volume", lambda content: content[:-20]])
def test_unreadable_image(damage, refused, tmp_path):
    image = tmp_path / "sub-b01_T1w.nii.gz"
    image.write_bytes(damage(image.read_bytes()))
    refused("sub-b01_T1w.nii.gz", "cannot be read")


def test_label_of_another_shape(refused, tmp_path):
    volume(tmp_path / "sub-a01_dseg.nii.gz", (4, 5, 7))
    refused("sub-a01_dseg.nii.gz", "(4, 5, 7)", "(4, 5, 6)")


def test_label_of_another_affine(refused, tmp_path):
    volume(tmp_path / "sub-a01_dseg.nii.gz", affine=np.diag([1, 1, 1.5, 1]))
    refused("sub-a01_dseg.nii.gz", "another affine", "sub-a01_T1w.nii.gz")


def test_a_manifest_is_read_without_reading_its_volumes(rows, tmp_path, monkeypatch):
    write(rows, tmp_path)
    monkeypatch.setattr("decoupled_qc.cohort.manifest.open_image", pytest.fail)
    assert len(read_manifest(tmp_path / "manifest.tsv")) == 3


def test_rating_that_is_no_number(rows, refused):
    rows[1]["rating"] = "good"
    refused("sub-a02", "'good'", "no number")


def test_volume_of_four_dimensions(refused, tmp_path):
    volume(tmp_path / "sub-a01_T1w.nii.gz", (4, 5, 6, 2))
    refused("sub-a01_T1w.nii.gz", "(4, 5, 6, 2)", "one volume")


def test_anatomy_in_test_and_training(rows, refused):
    rows[2]["anatomy"] = "a"
    refused("anatomy a", "test")


def test_subject_listed_twice(rows, refused):
    rows.append(rows[0])
    refused("sub-a01", "more than once")


def test_unknown_role(rows, refused):
    rows[0]["role"] = "training"
    refused("'training'", "train, validation, test")


def block(train=0, validation=0, test=0, optional=False):
    return {"train": train, "validation": validation, "test": test, "optional": optional}


def test_anatomies_without_subjects_are_not_in_use():
    anatomies = {"a": block(test=2), "b": block(train=3, validation=1), "c": block()}
    assert anatomies_in_use(anatomies) == ["a", "b"]


@pytest.mark.parametrize(
    ("anatomies", "named"),
    [
        ({"a": block(train=1, validation=1, test=1)}, "anatomies.a gives test subjects and training"),
        ({"a": block(test=1, optional=True), "b": block(train=1, validation=1)}, "anatomies.a is optional"),
        ({"a": block(test=1), "b": block(train=1, validation=1, optional=True)}, "no train subject"),
        ({"b": block(train=1, validation=1)}, "no test subject"),
    ],
)
def test_plans_that_cannot_work_stop_before_any_job(anatomies, named):
    with pytest.raises(InputError, match=named):
        anatomies_in_use(anatomies)


def test_a_head_that_another_run_did_without_is_asked_for_again(tmp_path):
    (tmp_path / "b").mkdir()
    mark_absent(tmp_path / "b", "offline.")
    check_heads({"a": block(test=1), "b": block(train=1, optional=True), "c": block()}, tmp_path)
    check_heads({"b": block()}, tmp_path)
    with pytest.raises(InputError, match=r"b could not be fetched by an earlier run.*anatomies\.b\.optional is false"):
        check_heads({"b": block(train=1)}, tmp_path)
    shutil.rmtree(tmp_path / "b")
    check_heads({"b": block(train=1)}, tmp_path)
