"""Bad scans, folders and names: each has its row, and stops no other."""

import errno
import gzip
import json
import runpy
import subprocess
import sys
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from apply_command import MM, count_scans, predict, volume, write
from phantom import ROOT
from tiny_model import write_tiny_model

import decoupled_qc
from decoupled_qc.apply import predictor
from decoupled_qc.apply.space import to_model_grid
from decoupled_qc.scans import as_scan


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
        "far": "far more than a head: correct its voxel size, or crop it",
        "plane": "nearly lie in a plane",
    }


def test_each_bad_scan_has_a_row_that_says_why_and_stops_no_other(scan, model, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("decoupled_qc.images.MAX_VOXELS", 90_000)  # of 2²⁸, so that the test stays small
    reasons = bad_scans(tmp_path / "bad")
    (tmp_path / "empty").mkdir()
    code, table = predict(tmp_path / "out", model, tmp_path / "bad", tmp_path / "absent.nii", tmp_path / "empty", scan)
    assert code == 2  # input that cannot be used
    assert table.loc["sub-01", "status"] == "ok" and (table["status"] == "error").sum() == len(reasons) + 2
    printed = capsys.readouterr().out
    for name, reason in {**reasons, "absent": "does not exist", "empty": "empty holds no file that ends in"}.items():
        said = table.loc[name, "error"]
        assert reason in said and name in said and said in printed, name
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
    reference["dice_model"] |= {"weights": [0.0] * 3, "offset": 0.99, "ratio": 0.01}
    (lenient / "reference.json").write_text(json.dumps({**reference, "input_ranges": {}, "kind_model": None}))
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


@pytest.mark.parametrize("debug", [False, True])
def test_a_fault_in_one_scan_shows_where_it_lies_only_when_asked(scan, model, tmp_path, debug):
    call = "import sys; from decoupled_qc.apply import predictor; predictor.infer = lambda *_, **__: 1 / 0; "
    call += "from decoupled_qc.cli import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["predict", scan, "-o", tmp_path / "out", "--model", model, *(["--debug"] if debug else [])]
    done = subprocess.run([sys.executable, "-c", call, *arguments], capture_output=True, text=True)
    said = "This should not have happened (ZeroDivisionError: division by zero): report it, with what --debug shows."
    assert done.returncode == 1 and f"{scan}: {said}" in done.stdout
    assert ("Traceback" in done.stderr) == debug


OF_TORCH = (
    "DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes. Error code 12 (Cannot allocate memory)"
)


@pytest.mark.parametrize("error", [RuntimeError(OF_TORCH), RuntimeError("CUDA out of memory."), MemoryError()])
def test_a_scan_that_needs_too_much_memory_fails_alone_with_its_own_code(scan, model, tmp_path, monkeypatch, error):
    other, plain = write(tmp_path / "other.nii", volume()[::-1].copy()), predictor.infer

    def full(network, image, **settings):
        monkeypatch.setattr(predictor, "infer", plain)
        raise error

    monkeypatch.setattr(predictor, "infer", full)
    code, table = predict(tmp_path / "out", model, tmp_path / "absent.nii", scan, other)
    assert code == 3 and table["status"].to_dict() == {"absent": "error", "sub-01": "error", "other": "ok"}
    told = f"{scan} needs more memory than there is: use a machine with more, or fewer --jobs."
    assert table.loc["sub-01", "error"] == told


def test_a_scan_for_whose_voxels_memory_is_not_enough_is_not_called_damaged(scan, model, tmp_path, monkeypatch):
    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr(nib.arrayproxy.ArrayProxy, "__array__", full)
    code, table = predict(tmp_path / "out", model, scan)
    assert code == 3 and "needs more memory than there is" in table.loc["sub-01", "error"]


def test_a_fault_of_ours_outweighs_bad_input_in_the_exit_code(scan, model, tmp_path, monkeypatch):
    monkeypatch.setattr(predictor, "infer", lambda *_, **__: 1 / 0)
    assert predict(tmp_path / "out", model, scan, tmp_path / "absent.nii")[0] == 1


def test_a_model_of_a_fine_grid_names_that_grid_and_not_the_scans_voxels():
    scan = as_scan(nib.Nifti1Image(volume(), np.diag([MM, MM, MM, 1.0])), "head.nii")
    told = "head.nii covers 160 x 192 x 176 mm, which at the model's 0.2 mm is more than 268435456 voxels: crop it."
    with pytest.raises(decoupled_qc.errors.InputError, match=told):
        to_model_grid(scan, 0.2)


def run_batch(scans, model, out, monkeypatch, code="x"):
    """Run the script of a batch in this process, without the job around it."""
    monkeypatch.setattr("decoupled_qc.jobs.start", lambda *_: None)
    listed = {"scan": [path.name[:5] for path in scans], "path": [str(path) for path in scans]}
    params = SimpleNamespace(code=code, scans=listed, folder=str(out), model=str(model))
    inputs, outputs = SimpleNamespace(pages=[]), [str(out / "predictions.csv")]
    job = SimpleNamespace(log=[None], threads=1, params=params, input=inputs, output=outputs)
    runpy.run_path(str(ROOT / "workflow/scripts/predict_batch.py"), init_globals={"snakemake": job})


def test_a_batch_whose_memory_was_not_enough_fails_and_its_retry_goes_on(scan, model, tmp_path, monkeypatch, caplog):
    other, plain, calls = write(tmp_path / "other.nii", volume()[::-1].copy()), predictor.infer, []

    def full(network, image, **settings):
        calls.append(image.shape)
        if len(calls) == 2:
            raise MemoryError
        return plain(network, image, **settings)

    monkeypatch.setattr(predictor, "infer", full)
    scans, out = (scan, other, tmp_path / "absent.nii"), tmp_path / "batch"
    with pytest.raises(decoupled_qc.errors.ResourceError, match="Memory was not enough for some scans of .*batch"):
        run_batch(scans, model, out, monkeypatch)
    assert f"{other} needs more memory than there is" in caplog.text
    (out / "predictions.csv").unlink()  # as Snakemake removes what a failed job was to make
    run_batch(scans, model, out, monkeypatch)
    table = pd.read_csv(out / "predictions.csv").set_index("scan")
    assert table["status"].to_dict() == {"sub-0": "ok", "other": "ok", "absen": "error"} and len(calls) == 3


def test_a_batch_is_predicted_again_by_other_code(scan, model, tmp_path, monkeypatch):
    calls = count_scans(monkeypatch)
    for code in ("x", "x", "y"):
        run_batch([scan], model, tmp_path / "batch", monkeypatch, code)
    assert len(calls) == 2
