import errno
import gzip
import json
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from phantom import head
from tiny_model import ARTEFACTS, write_tiny_model

import decoupled_qc
from decoupled_qc.apply import predictor
from decoupled_qc.cli import main

MM = 4.0
OBLIQUE = nib.affines.from_matvec(
    nib.eulerangles.euler2mat(0.1, -0.2, 0.3) @ np.diag([-MM, MM, MM]), [12.0, -34.0, 56.0]
)
MAPS = ["gm_probseg", "gm_dseg", "task_variance", *(f"{name}_variance" for name in ARTEFACTS), "total_variance"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("model"), MM)


def write(path, values, affine=OBLIQUE):
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = nib.MGHImage if path.suffix == ".mgz" else nib.Nifti1Image
    nib.save(kind(values, affine), path)
    return path


def volume():
    return head().numpy() * 1000


@pytest.fixture
def scan(tmp_path):
    return write(tmp_path / "sub-01_T1w.nii.gz", volume())


def predict(out, model, *inputs, more=("--no-pages",)):
    """Return the exit code and the table by scan."""
    code = main(["predict", *map(str, inputs), "-o", str(out), "--model", str(model), *more])
    return code, pd.read_csv(out / "predictions.csv", keep_default_na=False).set_index("scan")


def test_maps_lie_in_the_scans_own_grid_and_the_total_is_that_of_artefacts(scan, model, tmp_path):
    code, table = predict(tmp_path / "out", model, scan)
    assert code == 0 and list(table.index) == ["sub-01"]
    folder = tmp_path / "out" / table.loc["sub-01", "folder"]
    assert folder == tmp_path / "out" / "sub-01" / "anat"
    maps = {name: nib.load(folder / f"sub-01_desc-{name}.nii.gz") for name in MAPS}
    for file in maps.values():
        assert file.shape == nib.load(scan).shape and np.allclose(file.affine, OBLIQUE, atol=1e-5)
    values = {name: file.get_fdata() for name, file in maps.items()}
    assert maps["gm_dseg"].get_data_dtype() == np.uint8 and maps["gm_probseg"].get_data_dtype() == np.float32
    assert values["gm_probseg"].min() >= 0 and values["gm_probseg"].max() <= 1
    assert np.array_equal(values["gm_dseg"], values["gm_probseg"] > 0.5)
    assert np.allclose(values["total_variance"], sum(values[f"{name}_variance"] for name in ARTEFACTS), rtol=1e-5)
    row = table.loc["sub-01"]
    assert row["gm_volume_ml"] == pytest.approx(values["gm_dseg"].sum() * MM**3 / 1000, rel=1e-5)
    assert row["artefact_uncertainty"] == pytest.approx(sum(row[f"uncertainty_{name}"] for name in ARTEFACTS), rel=1e-5)
    summary = json.loads((folder / "sub-01_desc-summary.json").read_text())
    for name in ARTEFACTS:
        for band, found in summary["percentiles"][name].items():
            assert row[f"percentile_{name}_{band}"] == pytest.approx(found)
    assert row["cause_accuracy_subjects"] == summary["row"]["cause_accuracy_subjects"] == 12
    assert summary["Sources"] == [str(scan)] and summary["model"]["sha256"] in (model / "model.json").read_text()
    assert json.loads((tmp_path / "out" / "dataset_description.json").read_text())["DatasetType"] == "derivative"


def test_python_and_the_command_line_say_the_same_of_files_images_and_arrays(scan, model, tmp_path):
    _, table = predict(tmp_path / "out", model, scan)
    file = nib.load(scan)
    found = [
        decoupled_qc.predict(scan, model=model),
        decoupled_qc.predict(file, model=model),
        decoupled_qc.predict(np.asarray(file.dataobj), affine=file.affine, model=model),
    ]
    saved = nib.load(tmp_path / "out" / "sub-01" / "anat" / "sub-01_desc-noise_variance.nii.gz").get_fdata()
    for result in found:
        assert np.array_equal(result.maps["noise_variance"].get_fdata(), saved)
        for name in ("gm_volume_ml", "artefact_uncertainty", "predicted_dice", "snr"):
            assert result.row[name] == pytest.approx(float(table.loc["sub-01", name]), rel=1e-5)
    with pytest.raises(decoupled_qc.errors.InputError, match="An array needs its affine"):
        decoupled_qc.predict(np.zeros((9, 9, 9)), model=model)


def reoriented(values, codes):
    turn = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("LAS"), nib.orientations.axcodes2ornt(codes))
    return nib.Nifti1Image(values, np.diag([-MM, MM, MM, 1])).as_reoriented(turn)


@pytest.mark.parametrize(
    "suffix, codes, kind", [(".nii", "PIR", np.float32), (".mgz", "LAS", np.int16), (".nii.gz", "SRA", np.int16)]
)
def test_orientation_format_and_data_type_do_not_matter(model, tmp_path, suffix, codes, kind):
    values = np.rint(volume() * 4).astype(np.float32)
    plain = decoupled_qc.predict(values, affine=np.diag([-MM, MM, MM, 1]), model=model)
    turned = reoriented(values, codes)
    path = write(tmp_path / f"turned{suffix}", np.asarray(turned.dataobj).astype(kind), turned.affine)
    other = decoupled_qc.predict(path, model=model)
    back = nib.as_closest_canonical(other.maps["gm_probseg"]).get_fdata()
    assert np.allclose(back, nib.as_closest_canonical(plain.maps["gm_probseg"]).get_fdata(), atol=1e-4)
    for name in ("gm_volume_ml", "artefact_uncertainty", "snr", "cnr"):
        assert other.row[name] == pytest.approx(plain.row[name], rel=1e-3), name


def test_gain_offset_and_empty_space_around_do_not_matter(model):
    values, affine = volume(), np.diag([MM, MM, MM, 1])
    plain = decoupled_qc.predict(values, affine=affine, model=model)
    more = np.pad(values, [(8, 3), (0, 10), (5, 5)]) * 0.37 - 40
    moved = nib.affines.from_matvec(affine[:3, :3], affine[:3, :3] @ [-8, 0, -5])
    other = decoupled_qc.predict(more, affine=moved, model=model)
    inside = other.maps["gm_probseg"].get_fdata()[8:-3, :-10, 5:-5]
    assert np.abs(inside - plain.maps["gm_probseg"].get_fdata()).mean() < 0.02
    assert other.row["artefact_uncertainty"] == pytest.approx(plain.row["artefact_uncertainty"], rel=0.02)


def huge_header():
    """A gzipped header alone, of a volume of 2 GB."""
    header = nib.Nifti1Header()
    header.set_data_dtype(np.float32)
    header.set_data_shape((800, 800, 800))
    header["magic"], header["vox_offset"] = b"n+1", 352
    header.set_sform(np.eye(4), 1)
    return gzip.compress(header.binaryblock + b"\0" * 4)


def bad_scans(folder):
    folder.mkdir()
    holed, truncated = volume(), write(folder / "whole.nii.gz", volume()).read_bytes()
    (folder / "whole.nii.gz").unlink()
    holed[3, 3, 3] = np.nan
    endless = volume()
    endless[4, 4, 4] = np.inf
    (folder / "truncated.nii.gz").write_bytes(truncated[: len(truncated) // 2])
    (folder / "huge.nii.gz").write_bytes(huge_header())
    (folder / "text.nii").write_text("no image")
    (folder / "loop.nii").symlink_to(folder / "loop.nii")
    write(folder / "series.nii", np.stack([volume()] * 2, -1))
    write(folder / "flat.nii", volume()[:, :, 20])
    write(folder / "slice.nii", volume()[:, :, 20:21])
    write(folder / "nan.nii", holed)
    write(folder / "endless.nii", endless)
    write(folder / "complex.nii", volume().astype(np.complex64))
    write(folder / "large.nii.gz", np.pad(volume(), 5))
    write(folder / "zero.nii", np.zeros((20, 20, 20), np.float32))
    write(folder / "speck.nii", np.pad(np.ones((1, 1, 1), np.float32), 12))
    write(folder / "far.nii", volume(), np.diag([400.0, 400.0, 400.0, 1]))
    write(folder / "plane.nii", volume(), np.array([[4, 4, 0, 0], [0, 1e-6, 0, 0], [0, 0, 4, 0], [0, 0, 0, 1.0]]))
    return {
        "truncated": "cannot be read",
        "huge": "too few for the 800x800x800 voxels",
        "text": "cannot be read",
        "loop": "does not exist",
        "series": "one volume with three axes",
        "flat": "one volume with three axes",
        "slice": "give a scan of a whole brain",
        "nan": "NaN or infinite (1)",
        "endless": "NaN or infinite (1)",
        "complex": "give a real-valued magnitude image",
        "large": "more than 90000 voxels",
        "zero": "is constant",
        "speck": "shows",
        "far": "far more than a head",
        "plane": "nearly lie in a plane",
    }


def test_each_bad_scan_has_a_row_that_says_why_and_stops_no_other(scan, model, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("decoupled_qc.scans.MAX_VOXELS", 90_000)  # of 2²⁸, so that the test stays small
    reasons = bad_scans(tmp_path / "bad")
    code, table = predict(tmp_path / "out", model, tmp_path / "bad", tmp_path / "absent.nii", scan)
    assert code == 2  # input that cannot be used
    assert table.loc["sub-01", "status"] == "ok" and (table["status"] == "error").sum() == len(reasons) + 1
    printed = capsys.readouterr().out
    for name, reason in {**reasons, "absent": "does not exist"}.items():
        said = table.loc[name, "error"]
        assert reason in said and f"{name}.nii" in said and said in printed, name
        assert not (tmp_path / "out" / name).exists()


@pytest.fixture
def locked_folders(monkeypatch):
    """Let no folder named ``locked`` be read, as for a user who may not; root may read any."""
    plain = Path.iterdir

    def iterdir(folder):
        if folder.name.startswith("locked"):
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return plain(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    return monkeypatch


def test_a_folder_that_cannot_be_read_fails_alone_until_it_can(scan, model, tmp_path, locked_folders):
    write(tmp_path / "locked" / "a.nii", volume())
    write(tmp_path / "folder" / "b.nii", volume()[::-1].copy())
    write(tmp_path / "folder" / "locked-inside" / "c.nii", volume()[:, ::-1].copy())
    given = [tmp_path / "locked", tmp_path / "folder", scan]
    code, table = predict(tmp_path / "out", model, *given)
    assert code == 2 and table["status"].to_dict() == {
        **{"sub-01": "ok", "b": "ok"},
        **{"locked": "error", "locked-inside": "error"},
    }
    said = f"{tmp_path / 'locked'} is a folder that cannot be read: correct its permissions."
    assert table.loc["locked", "error"] == said
    locked_folders.undo()
    code, table = predict(tmp_path / "out", model, *given)
    assert code == 0 and sorted(table.index) == ["a", "b", "c", "sub-01"]


def test_a_subject_that_cannot_be_read_is_not_passed_over_in_silence(model, tmp_path, locked_folders):
    write(tmp_path / "bids" / "sub-1" / "anat" / "sub-1_T1w.nii", volume())
    for name in ("sub-2", "sub-3/ses-1/anat"):
        (tmp_path / "bids" / name).mkdir(parents=True)
    plain = Path.iterdir
    denied = {tmp_path / "bids" / "sub-2", tmp_path / "bids" / "sub-3" / "ses-1" / "anat"}

    def iterdir(folder):
        if folder in denied:
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return plain(folder)

    locked_folders.setattr(Path, "iterdir", iterdir)
    code, table = predict(tmp_path / "out", model, tmp_path / "bids")
    assert code == 2 and sorted(table.index) == ["anat", "sub-1", "sub-2"]
    assert table["status"].to_dict() == {"sub-1": "ok", "sub-2": "error", "anat": "error"}


def test_a_scan_whose_folder_cannot_be_entered_fails_alone(scan, model, tmp_path, monkeypatch):
    plain, hidden = Path.stat, write(tmp_path / "hidden" / "a.nii", volume())

    def stat(path, **named):
        if path == hidden:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return plain(path, **named)

    monkeypatch.setattr(Path, "stat", stat)
    code, table = predict(tmp_path / "out", model, hidden, scan)
    assert code == 2 and table["status"].to_dict() == {"a": "error", "sub-01": "ok"}
    assert f"{hidden} cannot be read or written (Permission denied): correct its permissions" in table.loc["a", "error"]


def test_a_header_that_promises_two_gigabytes_takes_no_memory(tmp_path, model):
    path = tmp_path / "huge.nii.gz"
    path.write_bytes(huge_header())
    assert path.stat().st_size < 1000
    tracemalloc.start()
    with pytest.raises(decoupled_qc.errors.InputError, match="800x800x800"):
        decoupled_qc.predict(path, model=model)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6
    plain = tmp_path / "huge.nii"
    plain.write_bytes(gzip.decompress(huge_header()))
    with pytest.raises(decoupled_qc.errors.InputError, match="too few for"):
        decoupled_qc.predict(plain, model=model)


def without_orientation(path, values, spacing_mm):
    """Write a scan whose header gives voxel sizes alone."""
    file = nib.Nifti1Image(values, None)
    file.header.set_zooms((spacing_mm,) * 3)
    nib.save(file, path)
    return path


def test_what_is_no_mri_scan_is_flagged_and_never_passes(tmp_path, model):
    lenient = write_tiny_model(tmp_path / "lenient", MM)
    reference = json.loads((lenient / "reference.json").read_text())
    reference["dice_model"] = {"score": [0.0], "dice": [0.99], "half_width": 0.01}
    (lenient / "reference.json").write_text(json.dumps({**reference, "input_ranges": {}}))
    usual, coarse, fine = (np.diag([mm, mm, mm, 1.0]) for mm in (2.5, 3.5, 0.25))
    hounsfield = (volume() * 2.5 - 1024).astype(np.int16)
    large = np.kron(volume(), np.ones((4, 4, 4), np.float32))  # the same head in voxels a quarter as long
    scans = {
        write(tmp_path / "plain.nii", volume(), usual): "",
        write(tmp_path / "series-of-one.nii", volume()[..., None], usual): "",
        write(tmp_path / "ct.nii", hounsfield, usual): "air far below zero, as in a CT scan",
        write(tmp_path / "mask.nii", (volume() > 300).astype(np.uint8), usual): "only 2 different intensities",
        write(tmp_path / "coarse.nii", volume(), coarse): "voxels of 3.5 x 3.5 x 3.5 mm, outside 0.3 to 3.0 mm",
        write(tmp_path / "fine.nii", large, fine): "voxels of 0.25 x 0.25 x 0.25 mm, outside 0.3 to 3.0 mm",
        without_orientation(tmp_path / "lost.nii", volume(), 2.5): "a header without orientation",
    }
    code, table = predict(tmp_path / "out", lenient, *scans)
    assert code == 0 and set(table["status"]) == {"ok"}
    for path, reason in scans.items():
        row = table.loc[path.stem]
        assert reason in row["unlike_reason"] and bool(row["unlike_training"]) == bool(reason), path
        assert row["decision"] == ("review" if reason else "pass"), path


def test_two_scans_of_one_name_wild_names_and_links_in_a_circle_each_give_one_right_row(model, tmp_path):
    wild = [
        "my scan.nii",
        'it\'s "that".nii',
        "<img src=x onerror=alert(1)>.nii",
        "two\nlines, and a comma.nii",
        "-o.nii",
    ]
    given = [tmp_path / "data" / name for name in ("a/scan.nii", "b/scan.nii", *wild)]
    for turn, path in enumerate(given):
        write(path, np.roll(volume(), turn, axis=0))
    (tmp_path / "data" / "a" / "up").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "b" / "ring").symlink_to(tmp_path / "data" / "b" / "ring")
    out = tmp_path / "out"
    code, table = predict(out, model, tmp_path / "data")
    assert code == 0 and set(table["status"]) == {"ok"}
    assert sorted(table["input"]) == sorted(map(str, given)) and table.index.is_unique and table["folder"].is_unique
    for scan, row in table.iterrows():
        label = nib.load(out / row["folder"] / f"{scan}_desc-gm_dseg.nii.gz").get_fdata()
        alone = decoupled_qc.predict(row["input"], model=model)
        assert np.array_equal(label, alone.maps["gm_dseg"].get_fdata()), scan
    assert predict(out, model, tmp_path / "data")[1].equals(table)  # names are kept


def test_pages_are_written_unless_not_wanted_and_later_if_they_were_not(model, tmp_path, monkeypatch):
    name, out, calls = "<img src=x onerror=alert(1)>", tmp_path / "out", count(monkeypatch)
    scan = write(tmp_path / f"{name}.nii", volume())
    predict(out, model, scan)
    assert not list(out.rglob("*.html"))
    _, table = predict(out, model, scan, more=())
    page = out / table["folder"].iloc[0] / f"{table.index[0]}.html"
    for file in (page, out / "index.html"):
        assert "<img src=x" not in file.read_text()
    assert table.index[0] in (out / "index.html").read_text() and len(calls) == 2
    predict(out, model, scan, more=())
    assert len(calls) == 2
    page.unlink()
    predict(out, model, scan, more=())
    assert page.is_file() and len(calls) == 3


def count(monkeypatch):
    """Return a list that grows with each scan that goes through the network."""
    calls, plain = [], predictor.infer

    def spy(network, image, **settings):
        calls.append(image.shape)
        return plain(network, image, **settings)

    monkeypatch.setattr(predictor, "infer", spy)
    return calls


def test_a_finished_scan_is_not_done_again_and_a_damaged_or_changed_one_is(scan, model, tmp_path, monkeypatch):
    out, calls = tmp_path / "out", count(monkeypatch)
    other = write(tmp_path / "other.nii", volume()[::-1].copy())
    first = predict(out, model, scan, other)[1]
    second = predict(out, model, scan, other)[1]
    assert len(calls) == 2 and first.equals(second)
    (out / "predictions.csv").unlink()  # as if killed before the table was written
    assert predict(out, model, scan, other)[1].equals(first) and len(calls) == 2
    (out / "other" / "other_desc-gm_dseg.nii.gz").write_bytes(b"half")
    predict(out, model, scan, other)
    assert len(calls) == 3
    write(scan, volume() ** 1.1)
    predict(out, model, scan)
    assert len(calls) == 4
    assert list(predict(out, model, scan)[1].index) == ["sub-01", "other"]  # what an earlier call wrote stays


def test_a_scan_is_done_again_when_what_the_verdict_rests_on_changed(scan, model, tmp_path, monkeypatch):
    out, calls = tmp_path / "out", count(monkeypatch)
    changed = Path(shutil.copytree(model, tmp_path / "changed"))
    predict(out, changed, scan)
    reference = json.loads((changed / "reference.json").read_text())
    reference["decision"]["target_dice"] = 0.123  # the weights stay
    (changed / "reference.json").write_text(json.dumps(reference))
    predict(out, changed, scan)
    assert len(calls) == 2


@pytest.mark.parametrize("debug", [False, True])
def test_a_fault_in_one_scan_shows_where_it_lies_only_when_asked(scan, model, tmp_path, debug):
    call = "import sys; from decoupled_qc.apply import predictor; predictor.infer = lambda *_, **__: 1 / 0; "
    call += "from decoupled_qc.cli import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["predict", scan, "-o", tmp_path / "out", "--model", model, *(["--debug"] if debug else [])]
    done = subprocess.run([sys.executable, "-c", call, *arguments], capture_output=True, text=True)
    assert done.returncode == 2 and "could not be predicted (ZeroDivisionError" in done.stdout
    assert ("Traceback" in done.stderr) == debug


def test_a_full_disk_stops_with_its_own_code_and_the_same_command_goes_on(scan, model, tmp_path, monkeypatch, capsys):
    out, plain = tmp_path / "out", nib.save
    other = write(tmp_path / "other.nii", volume()[::-1].copy())

    def full(file, path):
        if "other_desc-noise" in str(path):
            raise OSError(errno.ENOSPC, "No space left on device")
        plain(file, path)

    monkeypatch.setattr(nib, "save", full)
    assert main(["predict", str(scan), str(other), "-o", str(out), "--model", str(model), "--no-pages"]) == 3
    assert f"{out} is full: make room" in capsys.readouterr().err
    assert pd.read_csv(out / "predictions.csv")["scan"].tolist() == ["sub-01"]
    assert not list(out.rglob(".partial-*"))
    monkeypatch.setattr(nib, "save", plain)
    calls = count(monkeypatch)
    code, table = predict(out, model, scan, other)
    assert code == 0 and len(calls) == 1 and set(table["status"]) == {"ok"}


def test_a_second_run_in_the_same_folder_is_refused_until_the_first_has_died(scan, model, tmp_path, capsys):
    out, other = tmp_path / "out", write(tmp_path / "other.nii", volume()[::-1].copy())
    call = "import sys, time; from decoupled_qc.apply import predictor; from decoupled_qc.cli import main; "
    call += "predictor.infer = lambda *_, **__: print('begun', flush=True) or time.sleep(600); main(sys.argv[1:])"
    arguments = ["predict", str(scan), "-o", str(out), "--model", str(model), "--no-pages"]
    first = subprocess.Popen([sys.executable, "-c", call, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert first.stdout.readline() == "begun\n"
        before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
        assert main(["predict", str(other), *arguments[2:]]) == 3
        said = capsys.readouterr().err
        assert f"Another run is writing to {out} (pid {first.pid} on " in said
        assert said.endswith("): wait for it or give another folder.\n") and said.count("\n") == 1
        assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
        assert predict(tmp_path / "elsewhere", model, other)[0] == 0
    finally:
        first.kill()
        first.communicate()
    code, table = predict(out, model, scan, other)
    assert code == 0 and list(table.index) == ["sub-01", "other"]


def test_without_locks_of_the_file_system_the_run_goes_on(scan, model, tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("decoupled_qc.apply.output.fcntl.flock", flock)
    assert predict(tmp_path / "out", model, scan)[0] == 0


def test_results_that_cannot_be_written_are_a_matter_of_resources(scan, model, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["predict", str(scan), "-o", str(tmp_path / "file" / "out"), "--model", str(model)]) == 3
    assert "cannot be written to" in capsys.readouterr().err


def test_low_quality_is_a_result_unless_asked(scan, model, tmp_path):
    reference = json.loads((model / "reference.json").read_text())
    reference["dice_model"] = {"score": [0.0, 1.0], "dice": [0.2, 0.1], "half_width": 0.05}
    strict = write_tiny_model(tmp_path / "strict", MM)
    (strict / "reference.json").write_text(json.dumps(reference))
    arguments = ["predict", str(scan), "-o", str(tmp_path / "out"), "--model", str(strict), "--no-pages"]
    assert main(arguments) == 0
    assert pd.read_csv(tmp_path / "out" / "predictions.csv")["decision"].tolist() == ["fail"]
    assert main([*arguments, "--fail-on", "fail"]) == 4


def test_a_gpu_without_memory_hands_over_to_the_cpu(scan, model, monkeypatch):
    import torch

    plain, calls = predictor.infer, []

    def full(network, image, **settings):
        calls.append(1)
        if len(calls) == 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return plain(network, image, **settings)

    monkeypatch.setattr(predictor, "infer", full)
    one = predictor.Predictor(decoupled_qc.apply.folder.open_model(model))
    from decoupled_qc.scans import read_scan

    assert one(read_scan(scan)).row["gm_volume_ml"] >= 0 and len(calls) == 2 and one.device.type == "cpu"


@pytest.mark.slow
def test_several_jobs_give_the_same_results(model, tmp_path):
    scans = [write(tmp_path / f"{i}.nii", np.roll(volume(), i, axis=0)) for i in range(3)]
    _, one = predict(tmp_path / "one", model, *scans)
    assert (
        main(
            [
                "predict",
                *map(str, scans),
                "-o",
                str(tmp_path / "two"),
                "--model",
                str(model),
                "--jobs",
                "2",
                "--no-pages",
            ]
        )
        == 0
    )
    two = pd.read_csv(tmp_path / "two" / "predictions.csv", keep_default_na=False).set_index("scan").loc[one.index]
    assert one.drop(columns="seconds").equals(two.drop(columns="seconds"))
