"""The project on a real SLURM cluster: ``make test-slurm``. Skipped with a reason wherever that is not possible."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cluster as slurm
import pytest

PATIENCE_S = 3 * slurm.PATIENCE_S  # for a whole submission
SMOKE = ("--configfile", "config/smoke.yaml", "--config", "gpus_per_job=1")


@pytest.fixture(scope="session")
def cluster():
    if reason := slurm.missing():
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # not below pytest's: a socket's path must be short
    with slurm.Cluster(folder) as running:
        yield running
    shutil.rmtree(folder)


class Submission:
    """``snakemake --profile slurm`` in a copy of the project, as a process that can be killed."""

    def __init__(self, project, *arguments: str):
        self.log = project.folder / "snakemake.log"
        self.began = time.strftime("%Y-%m-%dT%H:%M:%S")
        # A job's Python finds the copy's package by PYTHONPATH, which SLURM hands on.
        # A process of a shell's background ignores SIGINT, and so would Snakemake.
        call = [
            "env",
            "--default-signal=INT",
            sys.executable,
            str(Path(__file__).with_name("quick_snakemake.py")),
            "--profile",
            "slurm",
            *("--latency-wait", "10"),
            *SMOKE,
            *arguments,
        ]
        environment = {**os.environ, "PYTHONPATH": str(project.folder / "src"), "OMP_NUM_THREADS": "1"}
        with open(self.log, "w") as log:
            self._process = subprocess.Popen(call, cwd=project.folder, env=environment, stdout=log, stderr=log)

    def wait(self) -> int:
        return self._process.wait(PATIENCE_S)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    @property
    def text(self) -> str:
        return self.log.read_text()

    def jobs(self, rule: str = "") -> list[dict[str, str]]:
        """Return accounting's records of this submission's jobs of a rule that have ended, in order of submission."""
        return [job for job in slurm.jobs(self.began) if job["Comment"].startswith(f"rule_{rule}")]


@pytest.fixture
def submit(cluster):
    """Start Snakemake on the cluster; whatever still runs at the end of the test is ended."""
    begun = []

    def start(project, *arguments: str) -> Submission:
        begun.append(Submission(project, *arguments))
        return begun[-1]

    yield start
    for submission in begun:
        submission.kill()
    slurm.run("scancel", "--user", "root")
    slurm.wait_for(lambda: not slurm.run("squeue", "-h"), 60, "an empty queue")


@pytest.fixture(scope="session")
def submitted(cluster, bare_project, tmp_path_factory):
    """The smoke configuration, all through sbatch: the project and its submission. Copy the project before editing.

    The student trains on both devices of the GPU node.
    """
    project = bare_project.copy_to(tmp_path_factory.mktemp("slurm") / "project")
    project.edit("profiles/slurm/config.yaml", "train_student: {", "train_student: {gpu: 2, ")
    project.edit("config/smoke.yaml", "  batch_size: 2\n", "  batch_size: 2\n  forward_batch_size: 1\n")
    submission = Submission(project)
    assert submission.wait() == 0, submission.text[-5000:]
    return project, submission


@pytest.fixture
def project(submitted, tmp_path):
    return submitted[0].copy_to(tmp_path / "project")
