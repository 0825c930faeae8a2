"""The same command again: what is done is kept, what was stopped goes on, and two runs never share a folder."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from apply_command import count_scans, predict, volume, write

from decoupled_qc.apply import predictor
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


def test_results_of_a_file_that_has_become_unreadable_do_not_stay(scan, model, tmp_path):
    out = tmp_path / "out"
    row = predict(out, model, scan, more=())[1].iloc[0]
    whole = scan.read_bytes()
    scan.write_bytes(whole[: len(whole) // 2])
    assert predict(out, model, scan, more=())[1].iloc[0]["status"] == "error"
    assert not list((out / row["folder"]).glob("*.nii.gz")) and not list((out / row["folder"]).glob("*.html"))
    assert not list((out / row["folder"]).glob("*summary.json"))


def test_a_scan_that_goes_while_it_is_predicted_fails_alone(scan, model, tmp_path, monkeypatch):
    other, plain = write(tmp_path / "other.nii", volume()[::-1].copy()), predictor.infer

    def infer(network, image, **settings):
        scan.unlink(missing_ok=True)
        return plain(network, image, **settings)

    monkeypatch.setattr(predictor, "infer", infer)
    code, table = predict(tmp_path / "out", model, scan, other, more=())
    assert code == 2 and table["status"].tolist() == ["error", "ok"]
    assert str(scan) in table["error"].iloc[0]


def stricter(model, folder):
    """Return a copy of a model folder, with the same weights, by whose reference no scan passes."""
    changed = Path(shutil.copytree(model, folder))
    reference = json.loads((changed / "reference.json").read_text())
    reference["decision"]["dice_cut"] = 1.0
    (changed / "reference.json").write_text(json.dumps(reference))
    return changed


def test_a_scan_is_done_again_when_what_the_verdict_rests_on_changed(scan, model, tmp_path, monkeypatch):
    out, calls = tmp_path / "out", count_scans(monkeypatch)
    first = predict(out, model, scan)[1].loc["sub-01"]
    (out / "predictions.csv").unlink()  # so that no row of the other model is left to stand beside the new ones
    second = predict(out, stricter(model, tmp_path / "changed"), scan)[1].loc["sub-01"]
    assert len(calls) == 2 and second["decision"] == "fail" != first["decision"]
    assert first["model"] != second["model"] and len(second["model"]) == 12


def test_a_table_never_mixes_models(scan, model, tmp_path, capsys):
    out, changed = tmp_path / "out", stricter(model, tmp_path / "changed")
    named = predict(out, model, scan)[1].loc["sub-01", "model"]
    before = files_in(out)
    other = write(tmp_path / "other.nii", volume()[::-1].copy())
    assert main(["predict", str(other), "-o", str(out), "--model", str(changed), "--no-pages"]) == 2
    said = capsys.readouterr().err
    assert f"{out / 'predictions.csv'} holds verdicts of model {named}, and this is " in said
    assert said.endswith(": give another folder with -o, so that no table mixes two.\n") and said.count("\n") == 1
    assert files_in(out) == before
    assert set(predict(out, model, other)[1]["model"]) == {named}


def test_a_scan_that_could_not_be_predicted_ties_a_table_to_no_model(scan, model, tmp_path):
    out, changed = tmp_path / "out", stricter(model, tmp_path / "changed")
    code, table = predict(out, model, tmp_path / "absent.nii")
    assert code == 2 and table.loc["absent", "model"] == ""
    code, table = predict(out, changed, scan)
    assert code == 0 and list(table.index) == ["absent", "sub-01"]


def files_in(folder):
    """Return what lies in a folder, but for the lock, which names the last process."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


DERIVATIVE = {"Name": "x", "GeneratedBy": [{"Name": "fmriprep"}]}


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("dataset_description.json", '{"Name": "mine"}', "is another dataset's and is not overwritten"),
        ("dataset_description.json", json.dumps(DERIVATIVE), "is another dataset's and is not overwritten"),
        ("dataset_description.json", "[" * 10**5, "is another dataset's and is not overwritten"),
        ("predictions.csv", "scan,label\na,1\n", "is not of decoupled-qc's making and is not overwritten"),
        ("index.html", "<p>mine", "is not of decoupled-qc's making and is not overwritten"),
        ("reference.json", "{}", "is not of decoupled-qc's making and is not overwritten"),
    ],
)
def test_what_somebody_else_made_is_never_overwritten(model, tmp_path, monkeypatch, capsys, name, text, told):
    data = tmp_path / "data"
    write(data / "sub-1" / "anat" / "sub-1_T1w.nii", volume())
    (data / name).write_text(text)
    before = files_in(tmp_path)
    monkeypatch.chdir(data)
    for out in (data, "."):
        assert main(["predict", str(data), "-o", str(out), "--model", str(model)]) == 2
        said = capsys.readouterr().err
        assert f"{Path(out, name)} {told}: give another folder with -o" in said and said.count("\n") == 1
    assert files_in(tmp_path) == before and not (data / ".lock").exists()
    assert predict(data / "derivatives" / "decoupled-qc", model, data)[0] == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is not as an earlier call wrote it"),
        ("scan,input\na\n", "is not as an earlier call wrote it"),
        ("\xff\x00", "is not as an earlier call wrote it"),
        ("subject,dice\na,1\n", "has no column 'scan', so no earlier call wrote it"),
    ],
)
def test_a_table_that_no_call_wrote_is_named_and_left(scan, model, tmp_path, capsys, text, told):
    out = tmp_path / "out"
    predict(out, model, scan)
    (out / "predictions.csv").write_text(text)
    assert main(["predict", str(scan), "-o", str(out), "--model", str(model)]) == 2
    advice = "move it away and give the same command again, which keeps every finished scan."
    assert capsys.readouterr().err == f"decoupled-qc: {out / 'predictions.csv'} {told}: {advice}\n"
    assert (out / "predictions.csv").read_text() == text


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


INTERRUPTED = """
import signal, sys, time
from decoupled_qc.apply import predict
from decoupled_qc.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a process of a shell's background ignores it
plain = predict.read_scan
def read_scan(path):
    return plain(path) if path.name == "first.nii" else time.sleep(600)
predict.read_scan = read_scan  # in each worker too, which imports this file
if __name__ == "__main__":
    sys.exit(main())
"""


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_ends_with_its_own_code_and_the_same_command_goes_on(model, tmp_path, jobs):
    scans = [write(tmp_path / f"{name}.nii", np.roll(volume(), n)) for n, name in enumerate(("first", "then", "last"))]
    out, more, program = tmp_path / "out", ("--no-pages", "--jobs", jobs), tmp_path / "program.py"
    program.write_text(INTERRUPTED)
    arguments = ["predict", *map(str, scans), "-o", str(out), "--model", str(model), *more]
    call = subprocess.Popen(
        [sys.executable, str(program), *arguments], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 120
        while not (out / "predictions.csv").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        os.killpg(call.pid, signal.SIGINT)  # as a terminal does: to the workers too
        said = call.communicate(timeout=60)[1]
    finally:
        call.kill()
        call.wait()
    assert call.returncode == 130
    assert said.splitlines()[-1] == "decoupled-qc: stopped; what was not finished is not there."
    assert pd.read_csv(out / "predictions.csv")["scan"].tolist() == ["first"]
    kept = {path: path.stat().st_mtime_ns for path in (out / "first").iterdir()}
    code, table = predict(out, model, *scans, more=more)
    assert code == 0 and sorted(table.index) == ["first", "last", "then"] and set(table["status"]) == {"ok"}
    assert kept == {path: path.stat().st_mtime_ns for path in (out / "first").iterdir()}


def test_without_locks_of_the_file_system_the_run_goes_on(scan, model, tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("decoupled_qc.apply.output.fcntl.flock", flock)
    assert predict(tmp_path / "out", model, scan)[0] == 0


def test_results_that_cannot_be_written_are_a_matter_of_resources(scan, model, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["predict", str(scan), "-o", str(tmp_path / "file" / "out"), "--model", str(model)]) == 3
    assert "cannot be written to" in capsys.readouterr().err
