"""Any bytes as a scan: refused in one sentence with nothing written, or simulated with the scan's own grid and range."""

import json
import shutil
import tracemalloc

import corpus
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tally import assert_clear, case, left_in, refused, search

from decoupled_qc import artefacts, images
from decoupled_qc.cohort.manifest import COLUMNS, check_volumes, read_manifest
from decoupled_qc.errors import InputError
from decoupled_qc.scans import read_scan

MIB = 2**20
NAMES = artefacts.available()


def clean(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def assert_right(scan, out):
    """The scan simulated: its grid, its affine, its range."""
    before, after = nib.load(scan), nib.load(out)
    was, is_now = (np.asanyarray(file.dataobj, dtype=np.float64) for file in (before, after))
    assert was.shape == is_now.shape and np.array_equal(before.affine, after.affine)
    assert np.isfinite(is_now).all()
    step = max((was.max() - was.min()) * 1e-4, 0.5 if after.get_data_dtype().kind in "iu" else 0.0)
    assert abs(was.min() - is_now.min()) <= step and abs(was.max() - is_now.max()) <= step
    assert json.loads((out.parent / "out.json").read_text())["shape"] == list(was.shape[:3])


@search(80)
@given(image=corpus.images(), name=st.sampled_from(NAMES), severity=st.sampled_from(["0", "1e-9", "0.5", "1"]))
def test_any_bytes_are_refused_or_simulated_rightly(tmp_path_factory, image, name, severity):
    folder = clean(tmp_path_factory.getbasetemp() / "simulate")
    scan, out = folder / f"scan{image[0]}", folder / "made" / "out.nii.gz"
    scan.write_bytes(image[1])
    with case("images: simulate"):
        if refused("simulate", scan, "--artefact", name, "--severity", severity, "--out", out):
            assert left_in(out.parent) == []
        else:
            assert left_in(out.parent) == ["out.json", "out.nii.gz"]
            assert_right(scan, out)


@search(50)
@given(image=corpus.images(), label=corpus.images(), with_label=st.booleans())
def test_the_audit_tells_of_any_bytes_and_never_stops(tmp_path_factory, image, label, with_label):
    folder = clean(tmp_path_factory.getbasetemp() / "audit")
    (folder / f"a{image[0]}").write_bytes(image[1])
    (folder / f"b{label[0]}").write_bytes(label[1])
    dseg = f"b{label[0]}" if with_label else ""
    (folder / "scans.tsv").write_text(f"subject\timage\tdseg\ns1\ta{image[0]}\t{dseg}\n")
    with case("images: audit"):
        assert not refused("audit", folder / "scans.tsv", "--out", folder / "made")
        assert left_in(folder / "made") == ["audit.html", "audit.tsv"]
        (row,) = pd.read_csv(folder / "made" / "audit.tsv", sep="\t", keep_default_na=False).itertuples()
        assert row.status in ("ok", "excluded")
        if row.status == "excluded":
            assert_clear(row.reason)


@search(50)
@given(image=corpus.images())
def test_a_manifest_of_any_bytes_is_refused_or_readable(tmp_path_factory, image):
    folder = clean(tmp_path_factory.getbasetemp() / "manifest")
    name = f"a{image[0]}"
    (folder / name).write_bytes(image[1])
    (folder / "manifest.tsv").write_text("\t".join(COLUMNS) + f"\ns1\ts1\ttrain\t{name}\t{name}\tmine\n")
    with case("images: manifest"):
        try:
            check_volumes(read_manifest(folder / "manifest.tsv"), folder / "manifest.tsv")
        except InputError as error:
            assert_clear(" ".join(str(error).split()))
        else:
            assert nib.load(folder / name).get_fdata().ndim == 3


def claiming(path, shape, dtype, body=b"\0" * 64):
    """A file whose header claims a volume, and that holds a few bytes."""
    header = nib.Nifti1Header()
    header.set_data_dtype(dtype)
    header.set_data_shape(shape)
    header.set_sform(np.eye(4), code=1)
    header["vox_offset"], header["magic"] = 352, b"n+1\0"
    with nib.openers.Opener(path, "wb") as file:
        file.write(header.binaryblock + b"\0" * 4 + body)
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    ("shape", "dtype"), [((32767,) * 3, "f8"), ((2000, 2000, 500), "i2"), ((300, 300, 300, 1), "u1")]
)
def test_a_header_takes_no_memory_for_voxels_that_its_file_cannot_hold(tmp_path, suffix, shape, dtype):
    path = claiming(tmp_path / f"liar{suffix}", shape, dtype)
    read_scan_of_one_voxel_more_than_none(tmp_path)
    with case("images: memory"):
        tracemalloc.start()
        try:
            with pytest.raises(InputError, match="too few for the .* voxels that its header promises") as told:
                read_scan(path)
            assert tracemalloc.get_traced_memory()[1] < MIB
        finally:
            tracemalloc.stop()
        assert_clear(str(told.value))


def read_scan_of_one_voxel_more_than_none(folder):
    """Let every module load its parts before memory is measured."""
    nib.save(nib.Nifti1Image(np.arange(2.0).reshape(2, 1, 1), np.eye(4)), folder / "warm.nii.gz")
    read_scan(folder / "warm.nii.gz")


def test_a_scan_of_too_many_voxels_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "bomb.nii.gz"  # 64 MiB in less than one, honestly
    nib.save(nib.Nifti1Image(np.zeros((256, 512, 512), np.uint8), np.eye(4)), path)
    assert path.stat().st_size < MIB / 2
    monkeypatch.setattr(images, "MAX_VOXELS", 2**25)
    with case("images: memory"):
        tracemalloc.start()
        try:
            with pytest.raises(InputError, match="more than 33554432 voxels"):
                read_scan(path)
            assert tracemalloc.get_traced_memory()[1] < MIB
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("dtype", ["u1", "i2", "f8"])
def test_reading_takes_no_more_than_two_copies_of_eight_bytes_and_the_result(tmp_path, dtype):
    values = (np.arange(64**3) % 251).reshape((64,) * 3).astype(dtype)
    nib.save(nib.Nifti1Image(values, np.eye(4), dtype=dtype), tmp_path / "scan.nii.gz")
    read_scan_of_one_voxel_more_than_none(tmp_path)
    with case("images: memory"):
        tracemalloc.start()
        try:
            scan = read_scan(tmp_path / "scan.nii.gz")
            assert tracemalloc.get_traced_memory()[1] < (8 + 8 + 4) * values.size + MIB
        finally:
            tracemalloc.stop()
        assert scan.image.max() == 1 and (scan.low, scan.high) == (0, 250)


def test_what_is_no_file_is_named(tmp_path):
    for path in (tmp_path, tmp_path / "none.nii", tmp_path / ("x" * 300 + ".nii"), tmp_path / "a\nb.nii", "/dev/null"):
        with case("images: names"):
            assert refused("simulate", path, "--artefact", "blur", "--out", tmp_path / "out.nii")
            assert not (tmp_path / "out.nii").exists()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A scan, and a record of every artefact in it."""
    folder = tmp_path_factory.mktemp("recorded")
    values = np.random.default_rng(0).uniform(0, 100, (8, 9, 10)).astype(np.float32)
    nib.save(nib.Nifti1Image(values, np.eye(4)), folder / "scan.nii.gz")
    names = [part for name in NAMES for part in ("--artefact", name)]
    assert not refused("simulate", folder / "scan.nii.gz", *names, "--out", folder / "out.nii.gz")
    return folder, json.loads((folder / "out.json").read_text())


@search(30)
@given(data=st.data())
def test_any_record_is_refused_or_applied(tmp_path_factory, recorded, data):
    folder, good = recorded
    text = data.draw(corpus.records(good))
    made = clean(tmp_path_factory.getbasetemp() / "records")
    (made / "mine.json").write_bytes(text)
    with case("records of artefacts"):
        if refused("simulate", folder / "scan.nii.gz", "--record", made / "mine.json", "--out", made / "out.nii.gz"):
            assert left_in(made) == ["mine.json"]
        else:
            assert left_in(made) == ["mine.json", "out.json", "out.nii.gz"]
            assert_right(folder / "scan.nii.gz", made / "out.nii.gz")


def test_a_record_of_a_scan_of_another_shape_is_refused(recorded, tmp_path, capsys):
    folder, good = recorded
    (tmp_path / "other.json").write_text(json.dumps({**good, "shape": [80, 90, 100]}))
    with case("records of artefacts"):
        assert refused(
            "simulate", folder / "scan.nii.gz", "--record", tmp_path / "other.json", "--out", tmp_path / "o.nii"
        )
