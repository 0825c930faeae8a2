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
start(sys.argv[1] + "/job.log", 1, *map(int, sys.argv[2:]))
with write_whole(sys.argv[1] + "/model") as folder:
    folder.mkdir()
    (folder / "weights").write_text("half")
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("number", "chosen", "code"),
    [(signal.SIGTERM, [], 128 + 15), (signal.SIGUSR1, ["85"], 85)],
    ids=["plain", "chosen"],
)
def test_a_job_that_is_told_to_stop_leaves_nothing_half_written(tmp_path, number, chosen, code):
    job = subprocess.Popen([sys.executable, "-c", JOB, str(tmp_path), *chosen])
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".partial-*/weights")) and time.monotonic() < deadline:
        time.sleep(0.1)
    job.send_signal(number)
    assert job.wait(timeout=30) == code
    assert [path.name for path in tmp_path.iterdir()] == ["job.log"]
