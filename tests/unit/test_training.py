"""What the three stages promise: who learns from whom, what stays frozen, and what a run gives."""

import io
import logging
import re
import sys
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from toy_training import (
    RECIPE,
    SETTINGS,
    SMALL,
    Wrapped,
    assert_alike,
    networks,
    no_checkpoint,
    phantom,
    stream,
    trained,
)

from decoupled_qc.errors import InputError
from decoupled_qc.models import save_model
from decoupled_qc.network import DecoupledUNet
from decoupled_qc.training import loop as training
from decoupled_qc.training import stages
from decoupled_qc.training.draws import drawing_for
from decoupled_qc.training.held_out import HeldOut
from decoupled_qc.training.loop import fit
from decoupled_qc.training.objective import objective
from decoupled_qc.training.parallel import Team


@pytest.mark.parametrize("plain", [True, False])
def test_at_first_the_variance_learns_but_does_not_weigh_the_cross_entropy(plain):
    gradients = []
    for start in (0.0, -3.0):
        torch.manual_seed(0)
        network = DecoupledUNet(("task",), **(SMALL | {"start_log_variance": {"task": start, "artefact": 0.0}}))
        loss, _ = objective(network, {}, stream([]).batch(0), RECIPE, 0.05, plain, torch.device("cpu"))
        loss.backward()
        gradients.append(network.segmentation.weight.grad)
        assert network.log_variance["task"].local[-1].bias.grad.abs() > 0
    assert torch.equal(*gradients) is plain


def test_adams_memory_of_squared_gradients_is_the_recipes(tmp_path):
    """Adam's first step is the learning rate times the gradient's sign whatever it remembers; the second is not."""

    def weight(steps, adam_beta2):
        recipe = dict(steps=steps, plain_steps=0, adam_beta2=adam_beta2)
        return trained(["noise"], {"task": networks("task")}, tmp_path, **recipe).segmentation.weight.detach()

    assert torch.allclose(weight(1, 0.5), weight(1, 0.999), atol=1e-6)
    assert (weight(2, 0.5) - weight(2, 0.999)).abs().max() > 1e-5


@pytest.mark.parametrize("route", ["paper", "routed"])
def test_frozen_networks_stay_as_they_are(tmp_path, route):
    frozen = {"task": networks("task"), "noise": networks("task", "noise"), "blur": networks("task", "blur")}
    before = {name: {k: v.clone() for k, v in net.state_dict().items()} for name, net in frozen.items()}
    trained(["noise", "blur"], frozen, tmp_path, route=route)
    for name, network in frozen.items():
        assert not network.training
        assert all(torch.equal(value, before[name][key]) for key, value in network.state_dict().items())
        assert all(parameter.grad is None for parameter in network.parameters())


def test_each_variance_learns_from_the_teacher_of_its_own_name(tmp_path):
    """Swapping two teachers swaps the pseudo-labels, so training must end elsewhere; order in the dict must not matter."""
    task, noise, blur = networks("task"), networks("task", "noise"), networks("task", "blur")
    right = trained(["noise", "blur"], {"task": task, "noise": noise, "blur": blur}, tmp_path)
    reordered = trained(["noise", "blur"], {"blur": blur, "task": task, "noise": noise}, tmp_path)
    for key, value in right.state_dict().items():
        assert torch.allclose(value, reordered.state_dict()[key], atol=1e-5), key
    noise.causes, blur.causes = ("task", "blur"), ("task", "noise")
    swapped = trained(["noise", "blur"], {"task": task, "noise": blur, "blur": noise}, tmp_path)
    difference = [(value - swapped.state_dict()[key]).abs().max().item() for key, value in right.state_dict().items()]
    assert max(difference) > 1e-3


def test_routed_likelihood_moves_only_the_variance_without_a_pseudo_label(tmp_path):
    frozen = {"task": networks("task")}
    changes = dict(route="routed", consistency_weight=0.0, plain_steps=0)
    start = trained(["noise"], frozen, tmp_path, **changes | {"learning_rate": 0.0})
    end = trained(["noise"], frozen, tmp_path, **changes)
    moved = {
        cause: any(
            not torch.equal(value, end.log_variance[cause].state_dict()[key])
            for key, value in start.log_variance[cause].state_dict().items()
        )
        for cause in ("task", "noise")
    }
    assert moved == {"task": False, "noise": True}


def test_same_seed_same_weights(tmp_path):
    first, second = (trained(["noise"], {"task": networks("task")}, tmp_path) for _ in range(2))
    assert all(torch.equal(value, second.state_dict()[key]) for key, value in first.state_dict().items())


def test_the_trained_network_is_the_moving_average_of_the_weights(tmp_path):
    """W_1 = w_1, W_k = d W_(k-1) + (1 - d) w_k, by hand from trainings that stop after each step."""
    ends = [trained([], {}, tmp_path, steps=n, plain_steps=3).state_dict() for n in (1, 2, 3)]
    averaged = trained([], {}, tmp_path, steps=3, plain_steps=3, average_decay=0.75).state_dict()
    for key, (first, second, third) in {key: [end[key] for end in ends] for key in averaged}.items():
        expected = 0.75 * (0.75 * first + 0.25 * second) + 0.25 * third
        assert torch.allclose(averaged[key], expected, atol=1e-6), key
    assert any(not torch.allclose(averaged[key], ends[-1][key], atol=1e-4) for key in averaged)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_shows_a_bar_with_the_last_loss_dice_ladder_and_time_left(tmp_path, monkeypatch, terminal):
    shown = io.StringIO()
    monkeypatch.setattr(shown, "isatty", lambda: terminal)
    monkeypatch.setattr(sys, "stderr", shown)
    trained(["noise"], {"task": networks("task")}, tmp_path, steps=3)
    if not terminal:
        assert shown.getvalue() == ""
        return
    last = pd.read_csv(tmp_path / "metrics.csv").iloc[-1]
    bar = shown.getvalue().split("\r")[-1]
    assert bar.startswith("task+noise: 100%") and "3/3 [" in bar and "<00:00" in bar
    for told in ("loss", "dice"):
        assert f"{last[told]:.3f}" in bar
    assert f"eps={last['epsilon']:.3g}" in bar and f"lr={last['learning_rate']:.2g}" in bar


class Slow(Wrapped):
    """A stream of which every batch takes 25 seconds by a clock that nothing else moves."""

    now = 1000.0

    def batch(self, step, samples):
        self.now += 25
        return self.inner.batch(step, samples)


def test_the_log_has_a_line_a_minute_however_rarely_metrics_are_recorded(tmp_path, monkeypatch):
    log_path = tmp_path / "job.log"
    file = logging.FileHandler(log_path)
    patches = Slow(stream([]))
    monkeypatch.setattr(training, "time", SimpleNamespace(monotonic=lambda: patches.now))
    recipe = replace(RECIPE, steps=12, log_every=100)
    logger = logging.getLogger("decoupled_qc.training.loop")
    logger.addHandler(file)
    logger.setLevel(logging.INFO)
    try:
        fit(DecoupledUNet(("task",), **SMALL), {}, patches, recipe, tmp_path, no_checkpoint(tmp_path))
    finally:
        logger.removeHandler(file)
        logger.setLevel(logging.NOTSET)
    said = re.findall(r"step +(\d+)/12  loss .* left (\S+) min", log_path.read_text())
    # The first and the last step are recorded; between them every third is the first after a minute.
    assert [(int(step), float(left)) for step, left in said] == [
        (step, pytest.approx(25 * (11 - step) / 60, abs=0.06)) for step in (0, 3, 6, 9, 11)
    ]
    assert list(pd.read_csv(tmp_path / "metrics.csv")["step"]) == [0, 11]


def test_a_collapse_is_written_in_the_log_from_half_of_the_training_on(tmp_path, caplog):
    """A head far below its lower limit, and a learning rate with which it stays there."""
    network = DecoupledUNet(("task",), **SMALL | {"start_log_variance": {"task": -9.0, "artefact": -9.0}})
    watched = HeldOut([phantom("x")], stream([]).corruption, patch_size=16, severity=0.8, seed=5, key="x")
    recipe = replace(RECIPE, learning_rate=0.0)
    fit(network, {}, stream([]), recipe, tmp_path, no_checkpoint(tmp_path), held_out=watched)
    assert list(pd.read_csv(tmp_path / "held_out.csv")["step"]) == [0, 3, 6]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    for step in (3, 6):
        assert (
            f"Step {step}: The task variance sits at its lower limit, 0.0025, on every input: it is not trained."
            in warnings
        )
        assert any(text.startswith(f"Step {step}: 100.0 % of all voxels have less variance") for text in warnings)
    assert len(warnings) == 4


class Reached(Exception):
    """The training would begin."""


def at_start(tmp_path, monkeypatch, init, donors):
    """Return the network that a stage would train."""

    def begin(network, *_arguments, **_more):
        raise Reached(network)

    monkeypatch.setattr(stages, "fit", begin)
    monkeypatch.setattr(stages, "_cases", lambda *_: [phantom("a")])
    monkeypatch.setattr(stages, "_volumes", lambda *_: [])
    monkeypatch.setattr(stages, "read_manifest", lambda *_: pd.DataFrame(columns=["subject", "role"]))
    with pytest.raises(Reached) as reached:
        stages.train_stage(
            tmp_path / "manifest.tsv",
            donors,
            tmp_path,
            checkpoint=tmp_path / "state.pt",
            watching=vars(RECIPE) | {"checkpoint_minutes": 60, "diagnostics": {"n_scans": 1, "severity": 0.7}},
            inference={},
            fingerprint="x",
            seed=4,
            spacing_mm=1.0,
            network=SMALL,
            augmentation={},
            corruption={
                "clean_probability": 0.5,
                "other_probability": 0.0,
                "n_artefacts_probability": [1.0],
                "local_probability": 0.0,
                "outside_probability": 0.0,
            },
            training=vars(RECIPE) | {"init": init, "patch_size": 16, "batch_size": 2, "patches_per_volume": 1},
            artefacts={"noise": SETTINGS["noise"]},
            others={},
            coupled=False,
        )
    return reached.value.args[0].state_dict()


def test_from_scratch_no_donor_gives_a_weight(tmp_path, monkeypatch):
    donors = {}
    for cause in ("task", "noise"):
        causes = ("task",) if cause == "task" else ("task", cause)
        donors[tmp_path / cause] = networks(*causes)
        (tmp_path / cause).mkdir()
        save_model(
            tmp_path / cause, donors[tmp_path / cause], {"network": {"causes": causes, **SMALL}, "epsilon": 0.01}
        )
    warm, scratch = (at_start(tmp_path, monkeypatch, init, list(donors)) for init in ("donors", "scratch"))
    with drawing_for(4, "task", "noise", "weights"):
        drawn = DecoupledUNet(("task", "noise"), **SMALL).state_dict()
    assert all(torch.equal(value, drawn[key]) for key, value in scratch.items())
    task, noise = (donor.state_dict() for donor in donors.values())
    assert all(torch.equal(value, task.get(key, noise[key])) for key, value in warm.items())
    moved = [
        key for key, value in warm.items() if value.dim() > 1 and value.any()
    ]  # some weights begin at zero in any case
    assert moved and not any(torch.equal(scratch[key], warm[key]) for key in moved)


def test_a_batch_may_be_passed_in_parts(tmp_path):
    """The mean gradient of two passes of two patches is that of one pass of four."""
    ends = []
    for size in (4, 2):
        torch.manual_seed(0)
        network = DecoupledUNet(("task", "noise"), **SMALL)
        recipe = replace(RECIPE, forward_batch_size=size, plain_steps=0, route="routed")
        folder = tmp_path / str(size)
        folder.mkdir()
        frozen = {"task": networks("task")}
        fit(network, frozen, stream(["noise"], batch_size=4), recipe, folder, no_checkpoint(folder))
        ends.append((network, pd.read_csv(folder / "metrics.csv")))
    (whole, at_once), (parts, in_turn) = ends
    assert at_once["loss"].to_numpy() == pytest.approx(in_turn["loss"].to_numpy(), abs=1e-5)
    assert at_once["gradient_norm"].to_numpy() == pytest.approx(in_turn["gradient_norm"].to_numpy(), rel=1e-3)
    assert_alike(whole, parts)


def test_a_batch_that_cannot_be_shared_evenly_is_refused(tmp_path):
    network = DecoupledUNet(("task",), **SMALL)
    with pytest.raises(
        InputError, match="batch_size is 2.*forward_batch_size 1 cannot share evenly: make it a multiple of 3"
    ):
        recipe = replace(RECIPE, forward_batch_size=1)
        fit(network, {}, stream([]), recipe, tmp_path, no_checkpoint(tmp_path), team=Team(rank=1, size=3))


def test_a_network_that_cannot_be_compiled_runs_as_it_is(tmp_path, monkeypatch):
    tried = []

    def broken(*_):
        tried.append(1)
        raise RuntimeError("no compiler")

    compile_as_usual = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compile_as_usual(self, backend=broken))
    ends = []
    for compiled in (False, True):
        torch.manual_seed(0)
        network = DecoupledUNet(("task",), **SMALL)
        fit(network, {}, stream([]), replace(RECIPE, compile=compiled), tmp_path, no_checkpoint(tmp_path))
        ends.append(network.state_dict())
    assert tried and ends[0].keys() == ends[1].keys()
    assert all(torch.equal(value, ends[1][key]) for key, value in ends[0].items())


def test_a_network_is_compiled_and_learns_as_one_that_is_not(tmp_path, monkeypatch):
    """By the backend that traces forward and backward pass and needs no compiler."""
    made = []
    torch._dynamo.reset()  # of what an earlier test could not compile it tries nothing again

    def traced(graph, inputs):
        made.append(torch._dynamo.lookup_backend("aot_eager")(graph, inputs))
        return made[-1]

    compile_as_usual = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compile_as_usual(self, backend=traced))
    ends = []
    for compiled in (False, True):
        torch.manual_seed(0)
        ends.append(DecoupledUNet(("task", "noise"), **SMALL))
        recipe = replace(RECIPE, steps=2, plain_steps=0, compile=compiled)
        fit(ends[-1], {}, stream(["noise"]), recipe, tmp_path, no_checkpoint(tmp_path))
    assert made
    assert_alike(*ends)


@pytest.mark.parametrize("patch_size", [48, pytest.param(96, marks=pytest.mark.slow)])
def test_the_full_size_network_trains(patch_size, tmp_path):
    """Two iterations of the paper's own network; its own patches, of 96, take eight times as long."""
    torch.manual_seed(0)
    network = DecoupledUNet(
        ("task",),
        channels=(30, 60, 120, 240, 480),
        head_channels=0,
        start_log_variance={"task": -2.0, "artefact": -4.0},
    )
    before = network.segmentation.weight.clone()
    recipe = replace(RECIPE, steps=2, plain_steps=1, precision="auto", forward_batch_size=1)
    patches = stream([], patch_size=patch_size, batch_size=1)  # the paper's two would take twice as long on a CPU
    fit(network, {}, patches, recipe, tmp_path, no_checkpoint(tmp_path))
    assert not torch.equal(network.segmentation.weight, before)
    rows = (tmp_path / "metrics.csv").read_text().splitlines()
    assert len(rows) == 3 and "nan" not in "".join(rows)
