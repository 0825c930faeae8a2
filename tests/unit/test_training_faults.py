"""A step whose loss or gradient is not finite."""

import json
from dataclasses import replace

import pandas as pd
import pytest
import torch
from toy_training import RECIPE, SMALL, Wrapped, no_checkpoint, stream

from decoupled_qc.network import DecoupledUNet
from decoupled_qc.training.checkpoint import Checkpoint
from decoupled_qc.training.loop import fit


class Spoiled(Wrapped):
    """A stream with batches that are not finite at some steps."""

    def batch(self, step, samples):
        batch = self.inner.batch(step, samples)
        self.spoils = step in self.steps
        if self.spoils:
            batch.image[:] = torch.nan
        return batch


class SpoiledGradient(Spoiled):
    """A stream of good batches, which tells a hook when to spoil the gradient."""

    def batch(self, step, samples):
        self.spoils = step in self.steps
        return self.inner.batch(step, samples)


def fit_spoiled(steps, folder):
    torch.manual_seed(0)
    network = DecoupledUNet(("task", "noise"), **SMALL)
    fit(network, {}, Spoiled(stream(["noise"]), *steps), replace(RECIPE, steps=8), folder, no_checkpoint(folder))
    return network


def test_a_step_that_is_not_finite_changes_nothing_and_leaves_the_records_of_its_batch(tmp_path):
    network = fit_spoiled([2, 3, 6], tmp_path)
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())
    lines = [json.loads(line) for line in (tmp_path / "checkpoint.skipped.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 3, 6]
    again = stream(["noise"]).batch(2)  # replayed from the step
    assert lines[0]["samples"] == json.loads(json.dumps(again.origins))
    for sample, drawn in zip(lines[0]["samples"], again.drawn["noise"], strict=True):
        assert sample["subject"] in "abc" and [record["artefact"] for record in sample["records"]] == ["noise"] * drawn
    rows = (tmp_path / "metrics.csv").read_text().splitlines()
    column = rows[0].split(",").index("skipped")
    assert [int(row.split(",")[column]) for row in rows[1:]] == [0, 0, 1, 2, 2, 2, 3, 3]


def test_the_list_of_skipped_steps_is_that_of_this_training_and_of_no_steps_that_come_again(tmp_path):
    skipped = tmp_path / "checkpoint.skipped.jsonl"

    def steps_after(key, *spoiled):
        state = Checkpoint(tmp_path / "checkpoint.pt", 60, key)
        recipe = replace(RECIPE, steps=8)
        torch.manual_seed(0)
        fit(DecoupledUNet(("task",), **SMALL), {}, Spoiled(stream([]), *spoiled), recipe, tmp_path, state)
        return [json.loads(line)["step"] for line in skipped.read_text().splitlines()] if skipped.exists() else []

    assert steps_after("one", 1, 4) == [1, 4]
    with open(skipped, "a") as lines:  # as by a stretch that was killed before it saved its state
        lines.write('{"step": 7')
    assert steps_after("one") == [1, 4]
    assert steps_after("another", 2) == [2]
    assert steps_after("a third") == []


def test_a_gradient_that_is_not_finite_is_skipped_though_the_loss_is(tmp_path):
    torch.manual_seed(0)
    network = DecoupledUNet(("task", "noise"), **SMALL)
    patches = SpoiledGradient(stream(["noise"]), 3)
    next(network.parameters()).register_hook(lambda gradient: gradient * torch.inf if patches.spoils else gradient)
    fit(network, {}, patches, replace(RECIPE, steps=6), tmp_path, no_checkpoint(tmp_path))
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())
    rows = pd.read_csv(tmp_path / "metrics.csv")
    assert list(rows["skipped"]) == [0, 0, 0, 1, 1, 1] and rows["loss"].notna().all()


def test_the_last_step_skipped_is_as_if_it_had_not_been(tmp_path):
    torch.manual_seed(0)
    shorter = DecoupledUNet(("task", "noise"), **SMALL)
    ladder = dict(RECIPE.ladder) | {"check_every": 1.0, "finish_by": 1.0, "min_interval": 1.0}
    recipe = replace(RECIPE, plain_steps=0, ladder=ladder)  # nothing is halved before the end
    fit(shorter, {}, stream(["noise"]), replace(recipe, steps=3, halvings=1), tmp_path, no_checkpoint(tmp_path))
    torch.manual_seed(0)
    spoiled = DecoupledUNet(("task", "noise"), **SMALL)
    endless = replace(recipe, steps=4, halvings=1)
    fit(spoiled, {}, Spoiled(stream(["noise"]), 3), endless, tmp_path, no_checkpoint(tmp_path))
    assert all(torch.equal(value, spoiled.state_dict()[key]) for key, value in shorter.state_dict().items())


def test_too_many_such_steps_in_a_row_stop_the_training(tmp_path):
    with pytest.raises(FloatingPointError, match="not finite in 3 steps in a row, the last being 5.*learning_rate"):
        fit_spoiled([1, 3, 4, 5], tmp_path)
    left = pd.read_csv(tmp_path / "checkpoint.metrics.csv")  # the training's own folder is given up
    assert list(left["step"]) == [0, 1, 2, 3, 4] and left["loss"][[0, 2]].notna().all()
