"""A training on several processes: started by the job, which waits for it and passes a signal on.

torchrun --standalone --nproc-per-node 2 -m decoupled_qc.training.torchrun SETTINGS.json
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from decoupled_qc.jobs import start
from decoupled_qc.training.checkpoint import RESTART
from decoupled_qc.training.parallel import end_with, join
from decoupled_qc.training.stages import train_stage

AGENT = "decoupled_qc.training.agent"
PATHS = ("manifest", "folder", "checkpoint")
# By itself torchrun dies of SIGUSR1 and leaves its processes behind, and kills those that take 30 s to save their state; clusters
# give two minutes. As variables and not as options, which its older versions refuse.
PATIENCE = {"PET_SIGNALS_TO_HANDLE": "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1", "PET_SHUTDOWN_TIMEOUT": "110"}


def train(processes: int, log_path: str, threads: int, **settings: object) -> None:
    """Train one network on as many processes as there are GPUs; in this process if that is at most one.

    Args:
        processes: On this machine.
        log_path: Of the job; the first process goes on writing it.
        threads: CPU threads that torch may use, of all processes together.
        settings: Arguments of :func:`decoupled_qc.training.stages.train_stage`.

    On Linux nothing of it outlives this process, also where that is killed.

    Raises:
        SystemExit: The processes ended with an error, or were told to stop: then with ``RESTART``, as one process would.
    """
    if processes <= 1:
        train_stage(**settings)
        return
    job = {"log_path": log_path, "threads": max(1, threads // processes), "settings": settings}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(job, file, default=str)
        file.flush()
        torchrun = [sys.executable, "-m", AGENT, str(os.getpid()), "--standalone", f"--nproc-per-node={processes}"]
        team = subprocess.Popen([*torchrun, "-m", __name__, file.name], env={**os.environ, **PATIENCE})
        try:
            code = team.wait()
        except SystemExit:  # this job was told to stop
            team.terminate()
            team.wait()
            raise
    if code:
        raise SystemExit(code)


def _member(job: dict) -> None:
    """Be one of the processes."""
    end_with(os.getppid())
    team = join()
    level = logging.INFO if team.first else logging.WARNING
    start(job["log_path"], job["threads"], stop_code=RESTART, append=True, level=level)
    settings = job["settings"]
    paths = {key: Path(settings[key]) for key in PATHS}
    train_stage(**settings | paths | {"frozen_folders": [Path(path) for path in settings["frozen_folders"]]}, team=team)


if __name__ == "__main__":
    _member(json.loads(Path(sys.argv[1]).read_text()))
