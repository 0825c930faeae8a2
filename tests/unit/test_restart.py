"""A training can be killed at any moment: it goes on by itself and ends with the same weights, to the bit."""

import contextlib
import errno
import itertools
import json
import os
import pickle
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from torch.distributed.run import get_args_parser
from toy_training import RECIPE, SMALL, phantom, stream

from decoupled_qc.cohort.manifest import COLUMNS
from decoupled_qc.errors import InputError
from decoupled_qc.jobs import STOPPING
from decoupled_qc.network import DecoupledUNet
from decoupled_qc.training.checkpoint import RESTART, Checkpoint, key_of
from decoupled_qc.training.held_out import HeldOut
from decoupled_qc.training.loop import fit
from decoupled_qc.training.parallel import Team
from decoupled_qc.training.recipe import WATCHING
from decoupled_qc.training.torchrun import PATIENCE

ROOT = Path(__file__).parents[2]
N_STEPS = 60
LADDER = {"smoothing": 0.9, "min_improvement": 1e-3, "check_every": 0.1, "min_interval": 0.1, "finish_by": 0.8}
# The rule's own script on a made-up Snakemake object; a pause in each step leaves time to be killed in.
JOB = """
import json, runpy, sys, time
from types import SimpleNamespace
from decoupled_qc.training.sampling import PatchStream
batch = PatchStream.batch
PatchStream.batch = lambda self, *which: (time.sleep(0.02), batch(self, *which))[1]
job = json.loads(sys.argv[2])
params = SimpleNamespace(**job.pop("params"))
runpy.run_path(sys.argv[1], init_globals={"snakemake": SimpleNamespace(params=params, **job)})
"""


def subject(folder, name, role):
    """A ball of grey matter with some texture; return its row of the manifest."""
    axes = np.meshgrid(*[np.linspace(-1, 1, 20)] * 3, indexing="ij")
    label = sum(axis**2 for axis in axes) < 0.4
    image = 0.3 + 0.4 * label + 0.05 * np.random.default_rng(ord(name)).standard_normal(label.shape)
    nib.save(nib.Nifti1Image(image.clip(0, 1).astype(np.float32), np.eye(4)), folder / f"{name}.nii.gz")
    nib.save(nib.Nifti1Image(2 * label.astype(np.uint8), np.eye(4)), folder / f"{name}_dseg.nii.gz")
    return "\t".join([name, "phantom", role, f"{name}.nii.gz", f"{name}_dseg.nii.gz", "made"])


def wait_until(happened, seconds=300.0):
    deadline = time.monotonic() + seconds
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.01)


class Training:
    """A training of a tiny network, run by the rule's script in a process of its own."""

    def __init__(self, cohort: Path, folder: Path, processes: int = 0, **changes):
        folder.mkdir()
        config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
        training = {key: value for key, value in config["training"].items() if key not in ("stages", *WATCHING)}
        training |= {
            "patch_size": 16,
            "batch_size": 2,
            "halvings": 3,
            "precision": "float32",
            "learning_rate": 1e-3,
            "presence_weight": 0.1,
            "average_decay": 0.9,  # the moving average must survive as well
        }
        training |= {
            "steps": N_STEPS,
            "plain_steps": 10,
            "patience": 0.1,
        }
        training |= changes
        watching = {"checkpoint_minutes": 0, "log_every": 1, "diagnostics": {"n_scans": 1, "severity": 0.7}}
        inference = {"patch_size": 16, "overlap": 0.25, "batch_size": 4, "precision": "float32", "mirror": False}
        blocks = {key: config[key] for key in ("seed", "augmentation", "corruption")}
        blocks |= {
            "spacing_mm": 1.0,
            "network": {
                "channels": [4, 8],
                "head_channels": 4,
                "presence": True,
                "start_log_variance": {"task": 0.0, "artefact": 0.0},
            },
            "training": training,
            "artefacts": {"noise": config["artefacts"]["noise"]},
            "others": {},
            "coupled": False,
        }
        self.model, self.checkpoint = folder / "models" / "net", folder / "checkpoints" / "net.pt"
        self.log = folder / "job.log"
        self.job = {
            "input": [str(cohort / "manifest.tsv")],
            "output": [str(self.model)],
            "log": [str(self.log)],
            "threads": 1,
            "resources": {"gpu": processes},
            "config": {"training": config["training"] | watching, "inference": inference},
            "params": {"code": "x", "artefact_code": [], "blocks": blocks, "checkpoint": str(self.checkpoint)},
        }

    def start(self) -> subprocess.Popen:
        self.log.unlink(missing_ok=True)
        script = ROOT / "workflow/scripts/train.py"
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            [sys.executable, "-c", JOB, script, json.dumps(self.job)],
            env=environment,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a group of its own, which can be told to stop as a cluster does
        )

    def steps(self) -> list[int]:
        """Steps in the log of the present stretch."""
        text = self.log.read_text() if self.log.is_file() else ""
        return [int(number) for number in re.findall(r"step +(\d+)/", text)]

    def stop(self, number: int, at_least: int, pause: float, *, everyone: bool = False) -> int:
        """Start, send a signal some time after a step, to the job or to all its processes, and return the exit code."""
        process = self.start()
        wait_until(lambda: max(self.steps(), default=-1) >= at_least or process.poll() is not None)
        time.sleep(pause)
        if everyone:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        code = process.wait(timeout=300)
        if everyone:
            with pytest.raises(ProcessLookupError):  # the job waits for those that it started
                os.killpg(process.pid, 0)
        return code

    def result(self) -> tuple[bytes, str]:
        return (self.model / "weights.safetensors").read_bytes(), (self.model / "metrics.csv").read_text()


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort")
    rows = [subject(folder, name, role) for name, role in zip("abc", ["train", "train", "validation"], strict=True)]
    (folder / "manifest.tsv").write_text("\n".join(["\t".join(COLUMNS), *rows]) + "\n")
    return folder


def test_killed_three_times_and_told_to_stop_once_ends_with_the_same_weights(cohort, tmp_path):
    whole, cut = Training(cohort, tmp_path / "whole"), Training(cohort, tmp_path / "cut")
    undisturbed = whole.start()
    chance = random.Random()
    moments = [(chance.randrange(first, first + 10), chance.uniform(0, 0.06)) for first in (0, 12, 24)]
    for step, pause in moments:
        assert cut.stop(signal.SIGKILL, step, pause) == -signal.SIGKILL, moments
    assert cut.stop(signal.SIGTERM, 40, 0.0) == RESTART
    assert list(cut.model.parent.iterdir()) == []  # nor what SIGKILL left before
    assert [path.name for path in cut.checkpoint.parent.iterdir()] == ["net.pt"]
    assert torch.load(cut.checkpoint, weights_only=True)["state"]["progress"]["step"] == cut.steps()[-1] + 1

    assert cut.start().wait(timeout=120) == 0
    assert "Resuming at step" in cut.log.read_text() and cut.steps()[0] > 40
    assert not cut.checkpoint.exists()
    assert undisturbed.wait(timeout=120) == 0
    assert cut.result() == whole.result(), moments
    assert len(whole.result()[1].splitlines()) == 1 + N_STEPS


def test_two_processes_end_where_one_does_also_when_told_to_stop(cohort, tmp_path):
    """Of one batch, two patches each; gloo in place of GPUs."""
    settings = {"batch_size": 4, "forward_batch_size": 2, "steps": 50, "ladder": LADDER}
    one = Training(cohort, tmp_path / "one", **settings)
    two = Training(cohort, tmp_path / "two", processes=2, **settings)
    undisturbed = one.start()
    assert two.stop(signal.SIGTERM, 8, 0.0) == RESTART
    assert list(two.model.parent.iterdir()) == [] and two.checkpoint.exists()
    assert two.stop(signal.SIGUSR1, 14, 0.0, everyone=True) == RESTART
    assert torch.load(two.checkpoint, weights_only=True)["state"]["progress"]["step"] == two.steps()[-1] + 1
    assert two.start().wait(timeout=240) == 0 and undisturbed.wait(timeout=240) == 0
    assert "Resuming at step" in two.log.read_text() and two.steps()[0] > 14
    alone, shared = (pd.read_csv(training.model / "metrics.csv") for training in (one, two))
    assert shared["loss"].to_numpy() == pytest.approx(alone["loss"].to_numpy(), abs=1e-5)
    assert shared["variance_noise"].to_numpy() == pytest.approx(alone["variance_noise"].to_numpy(), abs=1e-5)
    assert len(pd.read_csv(two.model / "held_out.csv")) == len(pd.read_csv(one.model / "held_out.csv")) > 4


def descendants(pid):
    """Return the processes that a process has started, and theirs."""
    parents = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(file.parent.name)] = int(file.read_text().rpartition(")")[2].split()[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def is_running(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells processes of their parent's end")
def test_a_killed_job_takes_its_processes_with_it(cohort, tmp_path):
    training = Training(cohort, tmp_path / "two", processes=2, batch_size=4, forward_batch_size=2, steps=5000)
    process = training.start()
    wait_until(lambda: max(training.steps(), default=-1) >= 1 or process.poll() is not None)
    started = descendants(process.pid)
    assert len(started) >= 3  # torchrun and two members
    process.kill()
    process.wait(timeout=60)
    wait_until(lambda: not any(map(is_running, started)), seconds=30)
    assert not any(map(is_running, started))


MEMBER = """
import sys
from decoupled_qc.training import torchrun
from decoupled_qc.training.parallel import Team

def train_stage(team, **_):
    torchrun.logging.getLogger("any").info("not said twice")
    raise ValueError("a batch of the second process")

torchrun.join, torchrun.train_stage = lambda: Team(1, 2), train_stage
paths = dict.fromkeys(torchrun.PATHS, "x")
torchrun._member({"log_path": sys.argv[1], "threads": 1, "settings": {**paths, "frozen_folders": []}})
"""


def test_an_error_in_a_process_that_is_not_the_first_is_in_the_log(tmp_path):
    log = tmp_path / "job.log"
    log.write_text("by the first\n")
    done = subprocess.run([sys.executable, "-c", MEMBER, str(log)], stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    for told in (log.read_text(), done.stderr):
        assert "ValueError: a batch of the second process" in told and "Traceback" in told and "twice" not in told
    assert log.read_text().startswith("by the first\n")


def test_torchrun_hands_on_every_signal_that_stops_a_training_and_waits_while_it_saves(monkeypatch):
    """For less than the two minutes of profiles/slurm/config.yaml."""
    for name, value in PATIENCE.items():
        monkeypatch.setenv(name, value)
    told = get_args_parser().parse_args(["script.py"])
    assert {number.name for number in STOPPING} <= set(told.signals_to_handle.split(","))
    assert 60 < told.shutdown_timeout < 120


def checkpoint(path, key="this"):
    return Checkpoint(path, minutes=0, key=key)


def test_a_checkpoint_of_another_training_is_passed_over(tmp_path):
    checkpoint(tmp_path / "net.pt").keep(lambda: {"step": 5})
    assert checkpoint(tmp_path / "net.pt").load() == {"step": 5}
    assert checkpoint(tmp_path / "net.pt", key="other").load() is None


def test_the_key_tells_settings_and_file_contents_apart(tmp_path):
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    key = key_of({"steps": 5, "code": "x"}, [file])
    assert key == key_of({"code": "x", "steps": 5}, [file])
    assert key != key_of({"code": "x", "steps": 6}, [file])
    file.write_bytes(b"two")
    assert key != key_of({"steps": 5, "code": "x"}, [file])


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("damage", ["cut", "text", "pickle"])
def test_a_damaged_checkpoint_is_set_aside_and_nothing_is_unpickled(tmp_path, damage):
    path, trap = tmp_path / "net.pt", tmp_path / "sprung"
    checkpoint(path).keep(lambda: {"weights": torch.zeros(1000)})
    whole = path.read_bytes()
    if damage == "pickle":
        path.write_bytes(pickle.dumps({"key": "this", "state": Trap(trap)}))
        assert not trap.exists()
        pickle.loads(pickle.dumps(Trap(trap)))
        assert trap.exists()  # the trap works
        trap.unlink()
    else:
        path.write_bytes(whole[: len(whole) // 2] if damage == "cut" else b"not a checkpoint")
    damaged = path.read_bytes()
    assert checkpoint(path).load() is None
    assert not trap.exists()
    assert [file.name for file in tmp_path.iterdir()] == ["net.pt.damaged"]
    assert (tmp_path / "net.pt.damaged").read_bytes() == damaged


@pytest.mark.parametrize("error", [OSError(errno.EIO, "disk"), PermissionError(errno.EACCES, "locked"), MemoryError()])
@pytest.mark.parametrize("where", [(Path, "read_bytes"), (torch, "load")])
def test_a_checkpoint_that_cannot_be_read_at_the_moment_is_not_taken_for_a_damaged_one(
    tmp_path, monkeypatch, where, error
):
    checkpoint(tmp_path / "net.pt").keep(lambda: {"step": 5})

    def fail(*_, **__):
        raise error

    with monkeypatch.context() as broken, pytest.raises(type(error)):
        broken.setattr(*where, fail)
        checkpoint(tmp_path / "net.pt").load()
    assert checkpoint(tmp_path / "net.pt").load() == {"step": 5}


def test_going_on_with_another_number_of_threads_is_said(tmp_path, monkeypatch, caplog):
    checkpoint(tmp_path / "net.pt").keep(lambda: {"step": 5})
    assert checkpoint(tmp_path / "net.pt").load() and not caplog.records
    threads = torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads + 3)
    assert checkpoint(tmp_path / "net.pt").load() == {"step": 5}
    (record,) = caplog.records
    assert f"was on {threads} CPU threads and goes on with {threads + 3}" in record.getMessage()


class Torn(Team):
    """A team whose second process saw an older checkpoint."""

    def gather(self, item):
        return [item, item - 2]


def test_processes_that_would_go_on_from_different_steps_are_refused(tmp_path):
    network = DecoupledUNet(("task",), **SMALL)
    state = Checkpoint(tmp_path / "net.pt", 60, "this", Torn())
    with pytest.raises(InputError, match=r"net.pt was not read alike by all processes.*from steps \[-2, 0\]"):
        fit(network, {}, stream([]), RECIPE, tmp_path, state, team=Torn())


def test_looks_at_other_scans_are_dropped_when_a_training_goes_on(tmp_path):
    def go_on(steps, key):
        watched = HeldOut([phantom("x")], stream([]).corruption, patch_size=16, severity=0.8, seed=5, key=key)
        recipe = replace(RECIPE, steps=steps, look_every=2 / steps)
        fit(
            DecoupledUNet(("task",), **SMALL),
            {},
            stream([]),
            recipe,
            tmp_path,
            checkpoint(tmp_path / "net.pt"),
            held_out=watched,
        )
        return list(pd.read_csv(tmp_path / "held_out.csv")["step"])

    assert go_on(4, "x") == [0, 2, 4]
    assert go_on(6, "x") == [0, 2, 4, 6]
    assert go_on(8, "others") == [6, 8]


def test_it_saves_when_the_minutes_have_passed(tmp_path, monkeypatch):
    clock = itertools.accumulate([1000.0, 59 * 60.0, 2 * 60.0, 0.0, 59 * 60.0])
    monkeypatch.setattr("decoupled_qc.training.checkpoint.time.monotonic", lambda: next(clock))
    rare = Checkpoint(tmp_path / "net.pt", minutes=60, key="this")
    rare.keep(lambda: {"step": 0})  # after 59 minutes
    assert not rare.path.exists()
    rare.keep(lambda: {"step": 1})  # after 61
    assert rare.load() == {"step": 1}
    rare.keep(lambda: {"step": 2})  # 59 later
    assert rare.load() == {"step": 1}


def test_it_saves_before_the_minutes_have_passed_if_told_to(tmp_path):
    rare = Checkpoint(tmp_path / "net.pt", minutes=60, key="this")
    rare.keep(lambda: {"step": 1})
    assert not rare.path.exists()
    rare.keep(lambda: {"step": 2}, now=True)
    assert rare.load() == {"step": 2}


def test_a_signal_saves_at_once_and_leaves_with_the_restart_code(tmp_path):
    before = signal.getsignal(signal.SIGUSR1)
    try:
        with pytest.raises(SystemExit) as stop, Checkpoint(tmp_path / "net.pt", 60, "this") as rare:
            os.kill(os.getpid(), signal.SIGUSR1)
            rare.keep(lambda: {"step": 3})
        assert stop.value.code == RESTART == 85
        assert rare.load() == {"step": 3}
    finally:
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else before)
