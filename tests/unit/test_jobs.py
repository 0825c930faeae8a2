import signal
import subprocess
import sys
import time

import pytest

JOB = """
import sys, time
from pathlib import Path
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start
start(sys.argv[1] + "/job.log", 1, [sys.argv[1] + "/model"], *map(int, sys.argv[2:]))
with write_whole(sys.argv[1] + "/model") as folder:
    folder.mkdir()
    (folder / "weights").write_text("half")
    time.sleep(60)
"""


def half_written(folder, *, but=frozenset()):
    """Wait until a job has begun to write; return what it has, less what was there before."""
    deadline = time.monotonic() + 60
    while not (found := set(folder.glob(".partial-*/weights")) - but) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


@pytest.mark.parametrize(
    ("number", "chosen", "code"),
    [(signal.SIGTERM, [], 128 + 15), (signal.SIGUSR1, ["85"], 85)],
    ids=["plain", "chosen"],
)
def test_a_job_that_is_told_to_stop_leaves_nothing_half_written(tmp_path, number, chosen, code):
    job = subprocess.Popen([sys.executable, "-c", JOB, str(tmp_path), *chosen])
    half_written(tmp_path)
    job.send_signal(number)
    assert job.wait(timeout=30) == code
    assert [path.name for path in tmp_path.iterdir()] == ["job.log"]


def test_what_a_killed_job_left_is_removed_by_the_next_attempt_and_nothing_else_is(tmp_path):
    (tmp_path / ".partial-01234567-model.csv").write_text("of another job")
    before = frozenset()
    for _ in range(2):
        job = subprocess.Popen([sys.executable, "-c", JOB, str(tmp_path)])
        left = half_written(tmp_path, but=before)
        job.kill()
        job.wait(timeout=30)
        assert len(left) == 1 and set(tmp_path.glob(".partial-*/weights")) == left
        before = frozenset(left)
    assert (tmp_path / ".partial-01234567-model.csv").exists()
