"""How far one step of the optimiser goes: the learning rate of each group of weights, and the limit of the gradient."""

from dataclasses import replace

import pytest
import torch
from toy_training import RECIPE, SMALL, networks, no_checkpoint, stream

from decoupled_qc.network import DecoupledUNet
from decoupled_qc.training.loop import _share_and_clip, fit
from decoupled_qc.training.parallel import ALONE


def test_adams_first_step_is_the_learning_rate_times_the_factor_of_a_weights_group(tmp_path):
    """Whatever the gradient's size, since Adam divides by it; a weight whose gradient is nearly 0 moves less."""
    torch.manual_seed(0)
    network = DecoupledUNet(("task", "noise"), **SMALL)
    before = {key: value.detach().clone() for key, value in network.named_parameters()}
    recipe = replace(
        RECIPE, steps=1, plain_steps=0, learning_rate=1e-3, head_learning_rate_factor=10.0,
        presence_learning_rate_factor=3.0, presence_weight=1.0,
    )  # fmt: skip
    fit(network, {"task": networks("task")}, stream(["noise"]), recipe, tmp_path, no_checkpoint(tmp_path))
    distances = {"log_variance": [], "presence_of": [], "rest": []}
    for key, value in network.named_parameters():
        part = key.split(".")[0]
        distances[part if part in distances else "rest"].append((value.detach() - before[key]).abs().flatten())
    for part, step in {"log_variance": 1e-2, "presence_of": 3e-3, "rest": 1e-3}.items():
        distance = torch.cat(distances[part])
        assert float(distance.max()) == pytest.approx(step, rel=1e-3), part
        assert float(distance[distance > 0].median()) == pytest.approx(step, rel=1e-3), part


@pytest.mark.parametrize(("clip", "left"), [(5.0, 5.0), (20.0, 10.0)])
def test_a_gradient_is_scaled_down_to_the_clip_norm_and_its_own_norm_is_told(clip, left):
    network = torch.nn.Linear(4, 1)  # 4 weights and a bias
    network.weight.grad, network.bias.grad = torch.tensor([[1.0, -5.0, 5.0, 7.0]]), torch.zeros(1)
    direction = network.weight.grad / 10
    told = _share_and_clip(network, {"loss": torch.tensor(0.0)}, clip, ALONE)
    assert told == pytest.approx(10.0)
    assert torch.allclose(network.weight.grad, left * direction, rtol=1e-5)
