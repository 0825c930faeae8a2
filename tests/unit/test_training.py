"""What the three stages promise: who learns from whom, what stays frozen, and what never depends on order."""

import itertools
import json
from dataclasses import replace

import pandas as pd
import pytest
import torch
from tensorboardX.proto.event_pb2 import Event

from decoupled_qc.checkpoint import Checkpoint
from decoupled_qc.errors import InputError
from decoupled_qc.held_out import HeldOut
from decoupled_qc.losses import consistency
from decoupled_qc.network import DecoupledUNet
from decoupled_qc.objective import objective
from decoupled_qc.parallel import Team
from decoupled_qc.recipe import Recipe
from decoupled_qc.sampling import Case, Corruption, PatchStream
from decoupled_qc.seeds import rng_for, seed_for
from decoupled_qc.training import fit

COUNT = itertools.count()
SETTINGS = {
    "noise": {"snr_db": [20.0, -10.0], "signal_mask": "volume"},
    "blur": {"ratio": [2.0, 12.0], "n_axes_probability": [0.6, 0.3, 0.1]},
}
SMALL = {"channels": (4, 8), "head_channels": 4, "start_log_variance": {"task": 0.0, "artefact": 0.0}}
RECIPE = Recipe(
    steps=6, forward_batch_size=2, plain_steps=2, learning_rate=1e-3, head_learning_rate_factor=10.0, clip_norm=5.0, epsilon=0.05,
    halvings=3, ladder=dict(smoothing=0.9, min_improvement=1e-3, check_every=0.2, min_interval=0.2, finish_by=0.8),
    ssim_weight=0.1, ssim_form="one_minus", consistency_weight=1.0, absence_weight=1.0, patience=0.3, route="paper",
    teacher_input="single_artefact",
    beta=0.0, precision="float32", compile=False, max_skipped=2, log_every=1,
    look_every=0.5,
)  # fmt: skip


def phantom(subject):
    """A ball of grey matter with some texture."""
    rng = rng_for(0, subject)
    axes = torch.meshgrid(*[torch.linspace(-1, 1, 20)] * 3, indexing="ij")
    label = sum(axis**2 for axis in axes) < 0.4
    image = 0.3 + 0.4 * label + 0.05 * torch.from_numpy(rng.standard_normal(label.shape)).float()
    return Case(subject, image.clamp(0, 1), label.to(torch.uint8))


def stream(names, others=(), **changes):
    plan = Corruption(
        names=names,
        others=others,
        settings=SETTINGS,
        clean_probability=0.5,
        other_probability=1.0,
        n_artefacts_probability=[0.5, 0.5],
        local_probability=0.5,
        spacing_mm=2.0,
    )
    settings = dict(patch_size=16, batch_size=2, patches_per_volume=2, seed=3, name="test") | changes
    return PatchStream([phantom("a"), phantom("b"), phantom("c")], plan, None, **settings)


def networks(*causes):
    torch.manual_seed(seed_for(0, *causes) % 2**32)
    network = DecoupledUNet(causes, **SMALL)
    for head in network.log_variance.values():  # away from the constant start, so that maps differ
        torch.nn.init.normal_(head.local[-1].weight)
    return network.eval().requires_grad_(False)


def no_checkpoint(folder):
    """One of a key of its own, so that nothing is resumed."""
    return Checkpoint(folder / "checkpoint.pt", minutes=60, key=str(next(COUNT)))


def trained(names, frozen, tmp_path, **changes):
    torch.manual_seed(0)
    network = DecoupledUNet(("task", *names), **SMALL)
    fit(network, frozen, stream(names), replace(RECIPE, **changes), tmp_path, no_checkpoint(tmp_path))
    return network


def test_a_teacher_sees_other_artefacts_as_nothing_of_its_own():
    patches = stream(["noise"], others=["blur"], patch_size=20)  # whole volumes
    seen = set()
    for step in range(0, 24, 2):
        batch = patches.batch(step)
        for sample, origin in enumerate(batch.origins):
            (name,) = [record["artefact"] for record in origin["records"]]
            seen.add(name)
            own = name == "noise"
            assert batch.drawn["noise"][sample] == own and "blur" not in batch.drawn
            assert not torch.equal(batch.image[sample], batch.clean[sample])
            assert torch.equal(batch.single["noise"][sample], batch.image[sample] if own else batch.clean[sample])
    assert seen == {"noise", "blur"}


def test_a_batch_does_not_depend_on_what_was_asked_before():
    in_order, at_once = stream(["noise", "blur"]), stream(["noise", "blur"])
    batches = [in_order.batch(step) for step in range(6)]
    again = at_once.batch(5)
    assert torch.equal(batches[5].image, again.image) and torch.equal(batches[5].label, again.label)
    assert not torch.equal(batches[4].image, again.image)


def test_each_teacher_sees_its_own_artefact_in_the_same_realisation():
    batches = [stream(["noise", "blur"]).batch(step) for step in range(0, 40, 2)]
    seen = set()
    for batch in batches:
        for sample in range(2):
            drawn = [name for name in ("noise", "blur") if batch.drawn[name][sample]]
            seen.add(tuple(drawn))
            for name in ("noise", "blur"):
                alone = batch.single[name][sample]
                if name not in drawn:
                    assert torch.equal(alone, batch.clean[sample])
                else:
                    assert not torch.equal(alone, batch.clean[sample])
                if drawn == [name]:
                    assert torch.equal(alone, batch.image[sample])
            if not drawn:
                assert torch.equal(batch.image[sample], batch.clean[sample])
    assert seen == {(), ("noise",), ("blur",), ("noise", "blur")}


def test_patches_reach_the_borders_as_windows_do():
    """Of starts uniform over [-4, 8], moved into [0, 4]: 5 of 13 lie at each border."""
    ramp = torch.arange(20.0)[:, None, None].expand(20, 20, 20) / 20
    maker = stream([], batch_size=1, patches_per_volume=1000)
    maker.cases = [Case("ramp", ramp, (ramp > 0.5).to(torch.uint8))]
    starts = torch.stack([maker.batch(step).clean.min() for step in range(600)]).mul(20).round()
    assert (starts == 0).float().mean() == pytest.approx(5 / 13, abs=0.06)
    assert (starts == 4).float().mean() == pytest.approx(5 / 13, abs=0.06)
    assert set(starts.tolist()) == {0, 1, 2, 3, 4}


def test_at_first_the_variance_learns_but_does_not_weigh_the_cross_entropy(tmp_path):
    after = {}
    for start in (0.0, -3.0):
        torch.manual_seed(0)
        network = DecoupledUNet(("task",), **(SMALL | {"start_log_variance": {"task": start, "artefact": 0.0}}))
        recipe = replace(RECIPE, steps=1, plain_steps=1, clip_norm=1e9)
        fit(network, {}, stream([]), recipe, tmp_path, no_checkpoint(tmp_path))
        after[start] = network.segmentation.weight
        assert network.log_variance["task"].local[-1].bias.item() != start
    assert torch.equal(after[0.0], after[-3.0])


def test_the_task_network_never_sees_an_artefact():
    batch = stream([]).batch(0)
    assert torch.equal(batch.image, batch.clean) and batch.single == {}


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


def terms_of(network, frozen, batch, **changes):
    return objective(network, frozen, batch, replace(RECIPE, **changes), 0.05, False, torch.device("cpu"))


def maps_of(network, image):
    logits, log_variance = network(image)
    return logits, dict(zip(network.causes, log_variance.exp().unbind(1), strict=True))


def batch_with_and_without(name):
    """The first batch of which one sample holds the artefact and the other does not."""
    batches = stream(["noise", "blur"])
    return next(b for b in map(batches.batch, range(0, 80, 2)) if sorted(b.drawn[name]) == [False, True])


def test_gated_total_holds_only_the_artefacts_that_are_there_and_pulls_the_others_to_zero():
    """Without teachers, by hand: L = CE / v + 1/2 log v, v = task label + sum of drawn variances + epsilon; plus the rest."""
    batch, task, network = batch_with_and_without("noise"), networks("task"), networks("task", "noise", "blur")
    loss, _ = terms_of(network, {"task": task}, batch, route="routed", absence_weight=0.7)
    logits, variance = maps_of(network, batch.image)
    label = maps_of(task, batch.clean)[1]["task"]
    there = {name: torch.tensor(batch.drawn[name]).float().reshape(-1, 1, 1, 1) for name in ("noise", "blur")}
    total = label + sum(variance[name] * there[name] for name in there) + 0.05
    ce = torch.nn.functional.cross_entropy(logits, batch.label.long(), reduction="none")
    expected = (ce / total + 0.5 * total.log()).mean() + consistency(variance["task"], label, 0.1, "one_minus")
    expected = expected + 0.7 * sum((variance[name] * (1 - there[name])).mean() for name in there)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_frozen_teacher_sees_its_own_artefact_alone_or_what_the_student_sees():
    batches = stream(["noise", "blur"])
    batch = next(b for b in map(batches.batch, range(0, 80, 2)) if any(map(all, zip(*b.drawn.values(), strict=True))))
    network, teacher = networks("task", "noise", "blur"), networks("task", "noise")
    _, variance = maps_of(network, batch.image)
    for choice, seen in (("single_artefact", batch.single["noise"]), ("student_input", batch.image)):
        _, terms = terms_of(network, {"noise": teacher}, batch, teacher_input=choice)
        target = maps_of(teacher, seen)[1]["noise"]
        assert terms["consistency"].item() == pytest.approx(
            consistency(variance["noise"], target, 0.1, "one_minus").item()
        )
    assert not torch.equal(batch.single["noise"], batch.image)


def test_coupled_is_equation_4_on_the_corrupted_image():
    batch, network = batch_with_and_without("noise"), networks("total")
    for route in ("paper", "routed"):
        loss, terms = terms_of(network, {}, batch, route=route)
        logits, variance = maps_of(network, batch.image)
        ce = torch.nn.functional.cross_entropy(logits, batch.label.long(), reduction="none")
        total = variance["total"] + 0.05
        assert loss.item() == pytest.approx((ce / total + 0.5 * total.log()).mean().item(), rel=1e-5)
        assert terms["consistency"] == 0


def test_without_the_consistency_term_only_equation_5_is_left():
    batch, network = batch_with_and_without("blur"), networks("task", "noise", "blur")
    frozen = {"task": networks("task")}
    loss, terms = terms_of(network, frozen, batch, consistency_weight=0.0)
    logits, variance = maps_of(network, batch.image)
    ce = torch.nn.functional.cross_entropy(logits, batch.label.long(), reduction="none")
    total = sum(variance.values()) + 0.05
    assert loss.item() == pytest.approx((ce / total + 0.5 * total.log()).mean().item(), rel=1e-5)
    assert terms["consistency"] > 0


def test_same_seed_same_weights(tmp_path):
    first, second = (trained(["noise"], {"task": networks("task")}, tmp_path) for _ in range(2))
    assert all(torch.equal(value, second.state_dict()[key]) for key, value in first.state_dict().items())


def assert_alike(first, second):
    """Two networks say the same, but for what six steps of Adam, which divides a gradient by its size, make of rounding.

    Their weights may not be the same: a bias before a norm has no effect and a gradient of pure rounding.
    """
    image = phantom("z").image[None, None, :16, :16, :16]
    for mine, theirs in zip(first.eval()(image), second.eval()(image), strict=True):
        assert torch.allclose(mine, theirs, atol=5e-4)


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


def held_out(names):
    return HeldOut([phantom("x"), phantom("y")], stream(names).corruption, patch_size=16, severity=0.8, seed=5)


def test_looking_at_held_out_patches_changes_nothing_and_leaves_a_row_per_input(tmp_path):
    ends = []
    for watched in (None, held_out(["noise"])):
        torch.manual_seed(0)
        network = DecoupledUNet(("task", "noise"), **SMALL | {"channels": (4, 8)}, dropout=0.2)
        fit(network, {}, stream(["noise"]), RECIPE, tmp_path, no_checkpoint(tmp_path), held_out=watched)
        ends.append(network.state_dict())
    assert all(torch.equal(value, ends[1][key]) for key, value in ends[0].items())
    looks = pd.read_csv(tmp_path / "held_out.csv")
    assert list(looks["step"]) == [0, 0, 3, 3, 6, 6] and list(looks["input"][:2]) == ["clean", "noise"]
    assert set(looks["n_scans"]) == {2} and looks["variance_noise"].nunique() > 3


def events_of(file):
    """A record is its length (8 bytes), a checksum (4), the event, and a checksum (4)."""
    data = file.read_bytes()
    while data:
        end = 12 + int.from_bytes(data[:8], "little")
        yield Event.FromString(data[12:end])
        data = data[end + 4 :]


def test_tensorboard_has_the_rows_of_both_tables_and_a_picture_of_every_look(tmp_path):
    fit(
        DecoupledUNet(("task",), **SMALL),
        {},
        stream([]),
        RECIPE,
        tmp_path,
        no_checkpoint(tmp_path),
        held_out=held_out([]),
    )
    (file,) = (tmp_path / "tensorboard").iterdir()
    drawn = {(value.tag, event.step): value for event in events_of(file) for value in event.summary.value}
    for group, table in (("training", "metrics.csv"), ("held_out_clean", "held_out.csv")):
        for row in pd.read_csv(tmp_path / table).to_dict("records"):
            assert drawn[f"{group}/dice", row["step"]].simple_value == pytest.approx(row["dice"], abs=1e-6)
    shown = [(value.image.height, value.image.width) for (tag, _), value in drawn.items() if tag == "held_out"]
    assert shown == [(16, 3 * 16)] * 3  # image, segmentation and the task's variance, at the steps of the looks


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


def test_a_look_says_what_the_network_says_of_the_central_patch():
    network, watched = networks("task", "noise"), held_out(["noise"])
    (clean, noisy), picture = watched.look(network, 7, "float32")
    image = torch.stack([phantom(name).image[2:18, 2:18, 2:18] for name in "xy"])[:, None]
    label = torch.stack([phantom(name).label[2:18, 2:18, 2:18] for name in "xy"]).long()
    low, high = (
        torch.stack([f(phantom(name).image) for name in "xy"]).reshape(2, 1, 1, 1, 1) for f in (torch.min, torch.max)
    )
    logits, variance = maps_of(network, (image - low) / (high - low))
    assert clean["variance_noise"] == pytest.approx(variance["noise"].mean().item(), rel=1e-4)
    assert clean["twice_cross_entropy"] == pytest.approx(
        2 * torch.nn.functional.cross_entropy(logits, label).item(), rel=1e-4
    )
    assert clean["step"] == 7 and noisy["dice"] != clean["dice"]
    assert picture.shape == (2 * 16, 4 * 16)
    assert torch.equal(picture[:16, :16], ((image - low) / (high - low))[0, 0, :, :, 8].T.flip(0))
    noise = variance["noise"][0, :, :, 8].clamp(max=1).T.flip(0)
    assert torch.allclose(picture[:16, 48:], noise, atol=1e-4)


class Spoiled:
    """A stream with batches that are not finite at some steps."""

    def __init__(self, inner, steps):
        self.inner, self.steps = inner, steps

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def batch(self, step, samples):
        batch = self.inner.batch(step, samples)
        if step in self.steps:
            batch.image[:] = torch.nan
        return batch


def fit_spoiled(steps, folder):
    torch.manual_seed(0)
    network = DecoupledUNet(("task", "noise"), **SMALL)
    fit(network, {}, Spoiled(stream(["noise"]), steps), replace(RECIPE, steps=8), folder, no_checkpoint(folder))
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


def test_the_last_step_skipped_is_as_if_it_had_not_been(tmp_path):
    torch.manual_seed(0)
    shorter = DecoupledUNet(("task", "noise"), **SMALL)
    ladder = dict(RECIPE.ladder) | {"check_every": 1.0, "finish_by": 1.0, "min_interval": 1.0}
    recipe = replace(RECIPE, plain_steps=0, ladder=ladder)  # nothing is halved before the end
    fit(shorter, {}, stream(["noise"]), replace(recipe, steps=3, halvings=1), tmp_path, no_checkpoint(tmp_path))
    torch.manual_seed(0)
    spoiled = DecoupledUNet(("task", "noise"), **SMALL)
    endless = replace(recipe, steps=4, halvings=1)
    fit(spoiled, {}, Spoiled(stream(["noise"]), [3]), endless, tmp_path, no_checkpoint(tmp_path))
    assert all(torch.equal(value, spoiled.state_dict()[key]) for key, value in shorter.state_dict().items())


def test_too_many_such_steps_in_a_row_stop_the_training(tmp_path):
    with pytest.raises(FloatingPointError, match="not finite in 3 steps in a row, the last being 5.*learning_rate"):
        fit_spoiled([1, 3, 4, 5], tmp_path)


def test_the_full_size_network_trains(tmp_path):
    """Two iterations of the paper's own network on its own patches."""
    torch.manual_seed(0)
    network = DecoupledUNet(
        ("task",),
        channels=(30, 60, 120, 240, 480),
        head_channels=0,
        start_log_variance={"task": -2.0, "artefact": -4.0},
    )
    before = network.segmentation.weight.clone()
    recipe = replace(RECIPE, steps=2, plain_steps=1, precision="auto")
    fit(network, {}, stream([], patch_size=96), recipe, tmp_path, no_checkpoint(tmp_path))
    assert not torch.equal(network.segmentation.weight, before)
    rows = (tmp_path / "metrics.csv").read_text().splitlines()
    assert len(rows) == 3 and "nan" not in "".join(rows)
