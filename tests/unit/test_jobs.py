import subprocess
import sys
import time

JOB = """
import sys, time
from pathlib import Path
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start
start(sys.argv[1] + "/job.log", 1)
with write_whole(sys.argv[1] + "/model") as folder:
    folder.mkdir()
    (folder / "weights").write_text("half")
    time.sleep(60)
"""


def test_a_job_that_is_told_to_stop_leaves_nothing_half_written(tmp_path):
    job = subprocess.Popen([sys.executable, "-c", JOB, str(tmp_path)])
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".partial-*/weights")) and time.monotonic() < deadline:
        time.sleep(0.1)
    job.terminate()
    assert job.wait(timeout=30) == 128 + 15
    assert [path.name for path in tmp_path.iterdir()] == ["job.log"]
