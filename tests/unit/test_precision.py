"""In which number format and memory layout the networks run, and that losses are in float32 whatever it is."""

import math
from dataclasses import replace

import pandas as pd
import pytest
import torch
from toy_training import RECIPE, SMALL, batch_with_and_without, networks, no_checkpoint, stream, trained

from decoupled_qc.network import DecoupledUNet
from decoupled_qc.precision import autocast
from decoupled_qc.training.loop import fit
from decoupled_qc.training.objective import objective

CPU = torch.device("cpu")


def test_the_losses_of_a_bfloat16_pass_are_in_float32():
    """By hand in double precision from what the network said; in bfloat16, of 8 bits, they would be off by some 1e-3."""
    batch, network = batch_with_and_without("noise"), networks("task", "noise", "blur")
    said = []
    network.register_forward_hook(lambda module, inputs, outputs: said.append(outputs))
    loss, terms = objective(network, {}, batch, replace(RECIPE, precision="bfloat16"), 0.05, False, CPU)
    ((logits, log_variance),) = said
    assert logits.dtype == torch.bfloat16
    ce = torch.nn.functional.cross_entropy(logits.double(), batch.label.long(), reduction="none")
    total = log_variance.double().exp().sum(dim=1) + 0.05
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(float((ce / total + 0.5 * total.log()).mean()), rel=1e-6)
    assert float(terms["cross_entropy"]) == pytest.approx(float(ce.mean()), rel=1e-6)
    exact, _ = objective(network, {}, batch, RECIPE, 0.05, False, CPU)
    assert 0 < abs(float(loss) - float(exact)) < 0.05 * abs(float(exact))  # it was another pass, and nearly the same


def test_a_training_in_bfloat16_keeps_its_weights_in_float32(tmp_path):
    network = trained(["noise"], {"task": networks("task")}, tmp_path, precision="bfloat16")
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32}
    assert pd.read_csv(tmp_path / "metrics.csv")["loss"].map(math.isfinite).all()


@pytest.mark.parametrize("precision, capabilities, expected", [
    ("auto", {"avx512_bf16": True}, torch.bfloat16),
    ("auto", {"avx512_bf16": False}, torch.float32),
    ("auto", {}, torch.float32),
    ("float32", {"avx512_bf16": True}, torch.float32),
    ("bfloat16", {}, torch.bfloat16),
])  # fmt: skip
def test_auto_is_bfloat16_where_the_processor_has_instructions_for_it(monkeypatch, precision, capabilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    convolution = torch.nn.Conv3d(1, 2, 3)
    with autocast(precision, CPU):
        assert convolution(torch.zeros(1, 1, 4, 4, 4)).dtype == expected


@pytest.mark.parametrize("has_instructions", [True, False])
def test_auto_does_not_count_bfloat16_that_a_gpu_only_emulates(monkeypatch, has_instructions):
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or has_instructions
    )
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # else autocast itself declines, with a warning
    assert autocast("auto", torch.device("cuda"))._enabled is has_instructions


def test_convolutions_work_channels_last_in_the_trained_and_in_the_frozen_network(tmp_path):
    """What comes between them, an instance norm on a CPU, may lay its own result out otherwise."""
    torch.manual_seed(0)
    network, frozen = DecoupledUNet(("task", "noise"), **SMALL), networks("task")
    laid_out = []

    def look(module, inputs, output):
        laid_out.append(
            all(part.is_contiguous(memory_format=torch.channels_last_3d) for part in (module.weight, output))
        )

    for each in (network, frozen):
        each.bottleneck[0].register_forward_hook(look)
    fit(network, {"task": frozen}, stream(["noise"]), RECIPE, tmp_path, no_checkpoint(tmp_path))
    assert len(laid_out) == 2 * RECIPE.steps and all(laid_out)
