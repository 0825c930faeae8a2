"""Two processes train as one with the same batch: gloo in place of GPUs."""

import multiprocessing
import os
import signal
import socket
from dataclasses import replace

import pandas as pd
import pytest
import torch
from torch import distributed
from toy_training import RECIPE, SMALL, Wrapped, assert_alike, networks, stream

from decoupled_qc.network import DecoupledUNet
from decoupled_qc.training.checkpoint import RESTART, Checkpoint
from decoupled_qc.training.loop import fit
from decoupled_qc.training.parallel import ALONE, join

STEPS = 8


class Interrupted(Wrapped):
    """A stream during which this process is told to stop."""

    def batch(self, step, samples):
        if step in self.steps:
            os.kill(os.getpid(), signal.SIGTERM)
        return self.inner.batch(step, samples)


def train(team, folder, stop_at=None):
    """Train a small network with dropout; the first process leaves its weights."""
    torch.manual_seed(0)
    network = DecoupledUNet(("task", "noise"), **SMALL, dropout=0.1)
    recipe = replace(RECIPE, steps=STEPS, route="routed")
    batches = Interrupted(stream(["noise"], batch_size=4), stop_at)
    state = Checkpoint(folder / "state.pt", 60, "parallel", team)
    fit(network, {"task": networks("task")}, batches, recipe, folder, state, team=team)
    if team.first:
        torch.save(network.state_dict(), folder / "weights.pt")


def member(rank, port, folder, stop_at):
    torch.set_num_threads(1)
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in place.items()})
    try:
        train(join(), folder, stop_at if rank == 1 else None)
    finally:
        distributed.destroy_process_group()


def together(folder, stop_at=None):
    """Return the exit codes of two processes; only the second is told to stop."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=member, args=(rank, port, folder, stop_at)) for rank in (0, 1)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=300)
    return [process.exitcode for process in processes]


def result(folder):
    return torch.load(folder / "weights.pt", weights_only=True), pd.read_csv(folder / "metrics.csv")


@pytest.fixture
def folders(tmp_path):
    for name in ("one", "two", "cut"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_two_processes_have_the_losses_and_maps_of_one(folders):
    train(ALONE, folders / "one")
    assert together(folders / "two") == [0, 0]
    (alone, steps), (shared, shared_steps) = (result(folders / name) for name in ("one", "two"))
    for column in ("loss", "cross_entropy", "dice", "variance_noise"):
        assert shared_steps[column].to_numpy() == pytest.approx(steps[column].to_numpy(), abs=1e-5), column
    ends = [DecoupledUNet(("task", "noise"), **SMALL) for _ in range(2)]
    for network, weights in zip(ends, (alone, shared), strict=True):
        network.load_state_dict(weights)
    assert_alike(*ends)
    assert len(steps) == STEPS


def test_where_one_is_told_to_stop_both_do_and_go_on_to_the_same_weights(folders):
    assert together(folders / "two") == [0, 0]
    assert together(folders / "cut", stop_at=3) == [RESTART, RESTART]
    assert len(pd.read_csv(folders / "cut" / "metrics.csv")) == 4
    assert together(folders / "cut") == [0, 0]
    (whole, steps), (cut, cut_steps) = (result(folders / name) for name in ("two", "cut"))
    assert all(torch.equal(value, cut[key]) for key, value in whole.items())
    pd.testing.assert_frame_equal(steps, cut_steps)
