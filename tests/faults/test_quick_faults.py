"""A full disk and a read-only folder, for the commands and for the jobs of a run, in a moment."""

import contextlib
import errno
import logging
import os
import resource
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest

from decoupled_qc import cli, jobs
from decoupled_qc.files import write_whole

LIMIT_BYTES = 4096


@contextlib.contextmanager
def full_after(n_bytes: int):
    """Let no file grow beyond a size, as a quota does; Python then raises an OSError."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def scan(tmp_path):
    values = np.random.default_rng(0).uniform(0, 100, (24, 24, 24)).astype(np.float32)
    nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "scan.nii.gz")
    return tmp_path / "scan.nii.gz"


def test_a_full_disk_leaves_no_scan_and_says_what_to_do(scan, tmp_path, capsys):
    out = tmp_path / "made" / "out.nii.gz"
    call = ["simulate", str(scan), "--artefact", "noise", "--out", str(out)]
    with full_after(LIMIT_BYTES):
        assert cli.main(call) == 3
    told = capsys.readouterr().err
    assert "the disk or your quota is full: free some space and run the same again" in told and told.count("\n") == 1
    assert list(out.parent.iterdir()) == []
    assert cli.main(call) == 0  # the same again
    assert sorted(path.name for path in out.parent.iterdir()) == ["out.json", "out.nii.gz"]


def test_a_full_disk_keeps_the_earlier_result(tmp_path):
    target = tmp_path / "scores.csv"
    target.write_text("whole")
    with full_after(LIMIT_BYTES), pytest.raises(OSError) as told, write_whole(target) as file:
        file.write_bytes(b"x" * 10 * LIMIT_BYTES)
    assert told.value.errno == errno.EFBIG
    assert target.read_text() == "whole" and [path.name for path in tmp_path.iterdir()] == ["scores.csv"]


@pytest.mark.skipif(not os.path.isdir("/sys/kernel"), reason="needs a folder that nobody can write to")
def test_a_read_only_folder_is_named(scan, capsys):
    assert cli.main(["simulate", str(scan), "--artefact", "noise", "--out", "/sys/kernel/out.nii.gz"]) == 3
    told = capsys.readouterr().err
    assert "/sys/kernel/" in told and "correct its permissions, or choose another folder" in told


@pytest.mark.skipif(not os.path.isdir("/sys/kernel"), reason="needs a folder that nobody can write to")
def test_a_job_whose_log_cannot_be_written_says_what_to_do():
    call = "from decoupled_qc.jobs import start; start('/sys/kernel/job.log', 1)"
    job = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True)
    assert job.returncode == 1
    assert "/sys/kernel/job.log cannot be read or written" in job.stderr
    assert job.stderr.endswith("correct its permissions, or choose another folder.\n") and job.stderr.count("\n") == 1


def test_a_job_says_what_to_do_and_hides_its_traceback_only_where_that_is_all(tmp_path, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    handler = logging.FileHandler(tmp_path / "job.log")
    logging.getLogger().addHandler(handler)
    for error in (OSError(errno.ENOSPC, "No space left on device", "x.nii"), ZeroDivisionError("by zero")):
        try:
            raise error
        except Exception:
            jobs._report(*sys.exc_info())
    handler.close()
    first, _, rest = (tmp_path / "job.log").read_text().partition("\n")
    assert first.endswith(
        "x.nii cannot be written, the disk or your quota is full: free some space and run the same again."
    )
    assert rest.startswith("ZeroDivisionError: by zero\nTraceback")
