"""The same command again: what is done is kept, what was stopped goes on, and two runs never share a folder."""

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import pandas as pd
from apply_command import count_scans, predict, volume, write

from decoupled_qc.cli import main


def test_pages_are_written_unless_not_wanted_and_later_if_they_were_not(model, tmp_path, monkeypatch):
    name, out, calls = "<img src=x onerror=alert(1)>", tmp_path / "out", count_scans(monkeypatch)
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


def test_a_finished_scan_is_not_done_again_and_a_damaged_or_changed_one_is(scan, model, tmp_path, monkeypatch):
    out, calls = tmp_path / "out", count_scans(monkeypatch)
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
    out, calls = tmp_path / "out", count_scans(monkeypatch)
    changed = Path(shutil.copytree(model, tmp_path / "changed"))
    predict(out, changed, scan)
    reference = json.loads((changed / "reference.json").read_text())
    reference["decision"]["target_dice"] = 0.123  # the weights stay
    (changed / "reference.json").write_text(json.dumps(reference))
    predict(out, changed, scan)
    assert len(calls) == 2


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
    calls = count_scans(monkeypatch)
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
