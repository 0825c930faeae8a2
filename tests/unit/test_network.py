import math
import re
from pathlib import Path

import pytest
import torch

from decoupled_qc.network import DecoupledUNet, limit

SMALL = {"channels": (4, 8, 16), "head_channels": 4, "start_log_variance": {"task": -2.0, "artefact": -4.0}}
PAPER = {
    "channels": (30, 60, 120, 240, 480),
    "head_channels": 0,
    "start_log_variance": {"task": -2.0, "artefact": -4.0},
}


def test_paper_network_has_the_published_number_of_weights():
    network = DecoupledUNet(("task", "spike", "noise", "blur", "wrap", "motion"), **PAPER)
    weights = sum(p.numel() for name, p in network.named_parameters() if p.ndim == 5)
    assert weights == pytest.approx(14.5e6, rel=0.01)
    assert network.size_divisor == 16


def test_memory_of_the_papers_step_is_what_the_guide_computes():
    """What two patches of 96 voxels keep for the backward pass, losses apart, counted without a voxel being computed."""
    guide = (Path(__file__).parents[2] / "config/README.md").read_text()
    step, losses = re.search(
        r"keeps ([\d.]+) GiB [^(]*\([^)]*\), of which ([\d.]+) GiB are for the losses", guide
    ).groups()
    moments, frozen = re.search(r"moments take ([\d.]+) GiB and the six frozen\s+networks ([\d.]+) GiB", guide).groups()
    with torch.device("meta"):
        network = DecoupledUNet(("task", "spike", "noise", "blur", "wrap", "motion"), **PAPER)
        patches = torch.empty(2, 1, 96, 96, 96)
    weights = {parameter.untyped_storage()._cdata: parameter for parameter in network.parameters()}
    kept = {}

    def keep(tensor):
        if tensor.untyped_storage()._cdata not in weights:
            kept[tensor.untyped_storage()._cdata] = tensor  # held, so that no other takes its place
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(patches)
    found = sum(tensor.untyped_storage().nbytes() for tensor in kept.values()) / 2**30
    assert found == pytest.approx(float(step) - float(losses), abs=0.1)
    own = sum(parameter.numel() * 4 for parameter in weights.values()) / 2**30
    assert 4 * own == pytest.approx(float(moments), abs=0.05) and 6 * own == pytest.approx(float(frozen), abs=0.05)


def test_norm_of_channels_last_features_is_that_of_contiguous_ones_with_the_same_gradients():
    torch.manual_seed(0)
    norm = DecoupledUNet(("task",), **SMALL).double().encoder[0][1]
    torch.nn.init.normal_(norm.weight)
    features, weights = torch.randn(2, 3, 4, 7, 6, 5, dtype=torch.float64)
    found = []
    for layout in (torch.contiguous_format, torch.channels_last_3d):
        given = features.to(memory_format=layout).requires_grad_()
        normed = norm(given)
        assert normed.is_contiguous(memory_format=layout)
        found.append([normed, *torch.autograd.grad((normed * weights).sum(), [given, norm.weight, norm.bias])])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(found[1][0].mean(dim=(2, 3, 4)), norm.bias.expand(3, -1))


def test_variance_heads_start_where_told_whatever_the_image():
    network = DecoupledUNet(("task", "noise"), **SMALL).eval()
    with torch.no_grad():
        _, log_variance = network(torch.rand(1, 1, 16, 16, 16))
    assert log_variance[:, 0] == pytest.approx(-2.0, abs=0.01)
    assert log_variance[:, 1] == pytest.approx(-4.0, abs=1e-4)


def test_a_limited_value_can_come_back_but_not_go_further():
    raw = torch.tensor([-30.0, -6.0, 0.0, 4.0, 30.0], requires_grad=True)
    limited = limit(raw, -6.0, 4.0)
    assert limited.tolist() == [-6, -6, 0, 4, 4]
    limited.sum().backward()  # downhill is towards lower values: stopped below the lower limit only
    assert raw.grad.tolist() == [0, 1, 1, 1, 1]
    raw.grad = None
    (-limit(raw, -6.0, 4.0)).sum().backward()
    assert raw.grad.tolist() == [-1, -1, -1, -1, 0]


def test_a_teachers_own_head_starts_as_the_tasks():
    task, teacher = DecoupledUNet(("task",), **SMALL), DecoupledUNet(("task", "noise"), **SMALL)
    for parameter in task.log_variance.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    teacher.start_from(task)
    with torch.no_grad():
        _, log_variance = teacher(torch.rand(1, 1, 16, 16, 16))
    assert torch.equal(log_variance[:, 0], log_variance[:, 1]) and log_variance.std() > 0.1


def test_student_starts_from_task_net_and_each_teachers_own_head():
    task = DecoupledUNet(("task",), **SMALL)
    teachers = [DecoupledUNet(("task", name), **SMALL) for name in ("noise", "blur")]
    for teacher in teachers:  # heads start at zero weights: make them differ
        for parameter in teacher.log_variance.parameters():
            torch.nn.init.normal_(parameter)
    student = DecoupledUNet(("task", "blur", "noise"), **SMALL)
    student.start_from(task, *teachers)
    image = torch.rand(1, 1, 16, 16, 16)
    assert torch.equal(student.eval()(image)[0], task.eval()(image)[0])
    for teacher, name in zip(teachers, ("noise", "blur"), strict=True):
        own, given = student.log_variance[name].state_dict(), teacher.log_variance[name].state_dict()
        assert all(torch.equal(own[key], given[key]) for key in given)


def test_a_merged_students_features_are_the_mean_of_its_teachers_and_its_heads_are_as_they_were():
    task = DecoupledUNet(("task",), **SMALL)
    teachers = [DecoupledUNet(("task", name), **SMALL) for name in ("noise", "blur")]
    for network in (task, *teachers):
        for parameter in network.log_variance.parameters():
            torch.nn.init.normal_(parameter)
    student = DecoupledUNet(("task", "noise", "blur"), **SMALL)
    student.start_from(task, *teachers, merged=True)
    own, first, second = (network.state_dict() for network in (student, *teachers))
    for key, value in own.items():
        if not key.startswith("log_variance."):
            assert torch.allclose(value, (first[key] + second[key]) / 2)
    for cause, donor in zip(("task", "noise", "blur"), (task, *teachers), strict=True):
        given = donor.log_variance[cause].state_dict()
        assert all(torch.equal(own[f"log_variance.{cause}.{key}"], value) for key, value in given.items())
    alone = DecoupledUNet(("task", "noise"), **SMALL)
    alone.start_from(task, merged=True)
    assert torch.equal(alone.segmentation.weight, task.segmentation.weight)


def test_only_heads_with_channels_of_their_own_see_a_patchs_level():
    """Instance norm hides the level: a brighter patch gives the same feature map, so plain heads cannot tell it."""
    image = torch.rand(1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    change = {}
    for head_channels in (0, 4):
        torch.manual_seed(0)
        network = DecoupledUNet(("task", "noise"), **(SMALL | {"head_channels": head_channels})).eval()
        for parameter in network.log_variance.parameters():  # heads start at zero weights
            torch.nn.init.normal_(parameter, std=0.1)
        with torch.no_grad():
            (logits, dark), (same_logits, bright) = network(image), network(3 * image)
        assert torch.allclose(logits, same_logits, atol=1e-3)
        change[head_channels] = (bright - dark).abs().mean()
    assert change[0] < 1e-3 and change[4] > 0.05


def told(odds):
    """Return a network that gives every patch these log odds of holding noise, and the same without the factor."""
    with_odds = DecoupledUNet(("task", "noise"), **SMALL, presence=True).eval()
    without = DecoupledUNet(("task", "noise"), **SMALL).eval()
    with torch.no_grad():
        for head in with_odds.log_variance.values():
            torch.nn.init.normal_(head.local[-1].weight, std=0.1)
        with_odds.presence_of["noise"][-1].bias.fill_(odds)
    without.load_state_dict(
        {key: value for key, value in with_odds.state_dict().items() if not key.startswith("presence_of.")}
    )
    return with_odds, without


def test_an_artefacts_variance_is_multiplied_by_the_probability_that_it_is_there():
    image = torch.rand(2, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    with_odds, without = told(-1.0)
    with torch.no_grad():
        (logits, found), (same, full) = with_odds(image), without(image)
    assert torch.equal(logits, same) and torch.equal(found[:, 0], full[:, 0])  # neither the label nor the task
    expected = full[:, 1] + math.log(1 / (1 + math.e))
    assert torch.allclose(found[:, 1], expected.clamp(min=-6), atol=1e-5)
    assert torch.allclose(with_odds.presence(image), torch.full((2, 1), -1.0))


def test_the_probability_learns_from_no_variance():
    image = torch.rand(1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    network, _ = told(0.5)
    network(image)[1].mean().backward()
    assert all(parameter.grad is None for parameter in network.presence_of.parameters())
    network.presence(image).mean().backward()
    assert network.presence_of["noise"][-1].bias.grad.item() == pytest.approx(1.0)


def test_a_network_of_one_variance_for_all_causes_tells_no_artefact():
    assert not DecoupledUNet(("total",), **SMALL, presence=True).presence_of
    assert not DecoupledUNet(("task",), **SMALL, presence=True).presence_of
