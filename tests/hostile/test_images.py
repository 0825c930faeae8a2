"""Any bytes as a scan: refused in one sentence with nothing written, or simulated with the scan's own grid and range."""

import gzip
import json
import math
import shutil
import tracemalloc

import corpus
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tally import assert_clear, case, left_in, refused, search

from decoupled_qc import artefacts, images
from decoupled_qc.cohort.checks import SPACING_MM
from decoupled_qc.cohort.manifest import COLUMNS, RATED_COLUMNS, check_volumes, read_manifest
from decoupled_qc.errors import InputError
from decoupled_qc.scans import RESOLUTION, read_scan
from decoupled_qc.seeds import rng_for
from decoupled_qc.settings import artefact_settings
from decoupled_qc.simulation.simulate import SEED

MIB = 2**20
GZIP = b"\x1f\x8b"  # how such a file begins
NAMES = artefacts.available()
OBSERVED = {"residual_shift_voxels"}  # of the finished scan: in a record it decides nothing, and is measured anew


def clean(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def assert_right(scan, out, asked):
    """The scan simulated: its grid, its range, the records asked for, and the voxels that the library makes by those written."""
    before, after = nib.load(scan), nib.load(out)
    was, is_now = (np.asanyarray(file.dataobj, dtype=np.float64) for file in (before, after))
    assert was.shape == is_now.shape and np.array_equal(before.affine, after.affine)
    written = json.loads((out.parent / "out.json").read_text())
    assert (written["scan"], written["shape"]) == (scan.name, list(was.shape[:3]))
    for record, wanted in zip(written["records"], asked, strict=True):
        assert record.items() >= {key: wanted[key] for key in wanted.keys() - OBSERVED}.items()
    low, high = was.min(), was.max()
    image = torch.from_numpy(((was.reshape(was.shape[:3]) - low) / (high - low)).astype(np.float32))
    made = artefacts.corrupt(image, written["records"]).double().numpy().reshape(was.shape)
    step = stored_step(before, after, high - low)
    assert np.isfinite(is_now).all() and np.abs(low + (high - low) * made - is_now).max() <= step
    assert abs(low - is_now.min()) <= step and abs(high - is_now.max()) <= step


def stored_step(before, after, span):
    """Return how far a voxel may be rounded: to a whole number where the scan has plain ones, else to a share of its range."""
    if after.get_data_dtype().kind == "f":
        return RESOLUTION * span
    assert after.get_data_dtype() == before.get_data_dtype() and (before.dataobj.slope, before.dataobj.inter) == (1, 0)
    return 0.5 + 1e-6


def asked_for(scan, name, severity):
    """Return the record that the command's options ask for, made by the library for the scan's grid as nibabel reads it."""
    file = nib.load(scan)
    sizes, rng = nib.affines.voxel_sizes(file.affine), rng_for(SEED, "simulate", name)
    return artefacts.sample_record(
        name, float(severity), file.shape[:3], sizes, rng, artefact_settings()[name], local_probability=0.0
    )


@search(80)
@given(image=corpus.images(), name=st.sampled_from(NAMES), severity=st.sampled_from(["0", "1e-9", "0.5", "1"]))
def test_any_bytes_are_refused_or_simulated_rightly(tmp_path_factory, image, name, severity):
    folder = clean(tmp_path_factory.getbasetemp() / "simulate")
    scan, out = folder / f"scan{image[0]}", folder / "made" / "out.nii.gz"
    scan.write_bytes(image[1])
    with case("images: simulate"):
        if refused("simulate", scan, "--artefact", name, "--severity", severity, "--out", out, about=scan):
            assert left_in(out.parent) == []
        else:
            assert left_in(out.parent) == ["out.json", "out.nii.gz"]
            assert_right(scan, out, [asked_for(scan, name, severity)])


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
        if row.status == "ok":
            assert not with_label  # no brain has as little grey matter as its few voxels
            assert_audited(row, nib.load(folder / f"a{image[0]}"))
        else:
            assert_clear(row.reason)
            assert str(folder / f"a{image[0]}") in row.reason or (dseg and str(folder / dseg) in row.reason)


def assert_audited(row, file):
    """A row of the audit tells of a volume that can be read whole, is finite and not constant, and lies where its header says."""
    values, sizes = file.get_fdata(), nib.affines.voxel_sizes(file.affine)
    assert values.ndim >= 3 and values.size == math.prod(values.shape[:3])
    assert np.isfinite(values).all() and values.min() < values.max()
    assert row.shape == "x".join(map(str, values.shape[:3]))
    assert [float(size) for size in row.spacing_mm.split()] == pytest.approx(sizes, rel=0.005)
    assert SPACING_MM[0] <= sizes.min() <= sizes.max() <= SPACING_MM[1]
    assert file.header["sform_code"] or file.header["qform_code"]
    assert row.orientation == "".join(nib.aff2axcodes(file.affine))
    assert {len(row.sha256), len(row.source_sha256)} == {64}


@search(50)
@given(image=corpus.images())
def test_a_manifest_of_any_bytes_is_refused_or_readable(tmp_path_factory, image):
    folder = clean(tmp_path_factory.getbasetemp() / "manifest")
    name = f"a{image[0]}"
    (folder / name).write_bytes(image[1])
    cells = ["s1", "a1", "train", name, name, "mine"]
    (folder / "manifest.tsv").write_text("\t".join(COLUMNS) + "\n" + "\t".join(cells) + "\n")
    with case("images: manifest"):
        try:
            table = read_manifest(folder / "manifest.tsv")
            check_volumes(table, folder / "manifest.tsv")
        except InputError as error:
            assert_clear(str(error), folder / name)
        else:
            (row,) = table.to_dict("records")
            assert row == dict(zip(COLUMNS, cells, strict=True)) | dict.fromkeys(RATED_COLUMNS, "")
            assert_readable(nib.load(folder / row["image"]), image[1])


def assert_readable(file, body):
    """A volume has three axes in millimetres, and every voxel that the file's bytes hold."""
    values = file.dataobj.get_unscaled()
    whole = gzip.decompress(body) if body[:2] == GZIP else body
    there = np.frombuffer(whole, values.dtype, values.size, int(file.dataobj.offset))
    assert len(file.shape) == 3 and np.array_equal(values.reshape(-1, order="F").view("u1"), there.view("u1"))
    assert file.get_fdata().shape == file.shape and np.isfinite(file.affine).all()
    low, high = images.SIZES_MM
    assert (low < nib.affines.voxel_sizes(file.affine)).all() and (nib.affines.voxel_sizes(file.affine) < high).all()


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
        assert_clear(str(told.value), path)


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
            assert refused("simulate", path, "--artefact", "blur", "--out", tmp_path / "out.nii", about=path)
            assert not (tmp_path / "out.nii").exists()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A scan, and a record of every artefact in it, none so strong that the scan looks the same from behind."""
    folder = tmp_path_factory.mktemp("recorded")
    values = np.random.default_rng(0).uniform(0, 100, (8, 9, 10)).astype(np.float32)
    nib.save(nib.Nifti1Image(values, np.eye(4)), folder / "scan.nii.gz")
    names = [part for name in NAMES for part in ("--artefact", name)]
    assert not refused("simulate", folder / "scan.nii.gz", *names, "--severity", 0.1, "--out", folder / "out.nii.gz")
    return folder, json.loads((folder / "out.json").read_text())


@search(30)
@given(data=st.data())
def test_any_record_is_refused_or_applied(tmp_path_factory, recorded, data):
    folder, good = recorded
    text = data.draw(corpus.records(good))
    made = clean(tmp_path_factory.getbasetemp() / "records")
    (made / "mine.json").write_bytes(text)
    with case("records of artefacts"):
        scan, mine, out = folder / "scan.nii.gz", made / "mine.json", made / "out.nii.gz"
        if refused("simulate", scan, "--record", mine, "--out", out, about=mine):
            assert left_in(made) == ["mine.json"]
        else:
            assert left_in(made) == ["mine.json", "out.json", "out.nii.gz"]
            assert_right(scan, out, json.loads(text)["records"])


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("ghosting", "amplitude", 1e300),
        ("ghosting", "axis", 10**30),
        ("ghosting", "period_planes", 0),
        ("motion", "centre_mm", "x"),
        ("motion", "slow_axis", 10**30),
        ("noise", "signal_power", ""),
        ("spike", "kspace_max", "nan"),
        ("spike", "magnitude", 1e38),
        ("wrap", "axis", 10**30),
        ("zipper", "signal_rms", "x"),
    ],
)
def test_a_record_whose_numbers_make_no_finite_scan_is_refused(recorded, tmp_path, name, key, value):
    folder, good = recorded
    (record,) = [dict(record) for record in good["records"] if record["artefact"] == name]
    mine, out = tmp_path / "mine.json", tmp_path / "out.nii"
    mine.write_text(json.dumps({**good, "records": [{**record, key: value}]}))
    with case("records of artefacts"):
        assert refused("simulate", folder / "scan.nii.gz", "--record", mine, "--out", out, about=mine)
        assert left_in(tmp_path) == ["mine.json"]


def test_a_record_of_a_scan_of_another_shape_is_refused(recorded, tmp_path, capsys):
    folder, good = recorded
    (tmp_path / "other.json").write_text(json.dumps({**good, "shape": [80, 90, 100]}))
    with case("records of artefacts"):
        other, out = tmp_path / "other.json", tmp_path / "o.nii"
        assert refused("simulate", folder / "scan.nii.gz", "--record", other, "--out", out, about=other)
