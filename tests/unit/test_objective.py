"""What is minimised, term by term, against the equations."""

import math
from dataclasses import replace

import pytest
import torch
from toy_training import RECIPE, batch_with_and_without, maps_of, networks, stream

from decoupled_qc.training.losses import absence_divergence, consistency, ssim
from decoupled_qc.training.objective import objective


def terms_of(network, frozen, batch, **changes):
    return objective(network, frozen, batch, replace(RECIPE, **changes), 0.05, False, torch.device("cpu"))


def test_gated_total_holds_only_the_artefacts_that_are_there_and_pulls_the_others_to_zero():
    """Without teachers, by hand: L = CE / v + 1/2 log v, v = task label + sum of drawn variances + epsilon; plus the rest."""
    batch, task, network = batch_with_and_without("noise"), networks("task"), networks("task", "noise", "blur")
    loss, _ = terms_of(network, {"task": task}, batch, route="routed", absence_weight=0.7, absence_form="divergence")
    logits, variance = maps_of(network, batch.image)
    label = maps_of(task, batch.clean)[1]["task"]
    there = {name: torch.tensor(batch.drawn[name]).float().reshape(-1, 1, 1, 1) for name in ("noise", "blur")}
    total = label + sum(variance[name] * there[name] for name in there) + 0.05
    ce = torch.nn.functional.cross_entropy(logits, batch.label.long(), reduction="none")
    expected = (ce / total + 0.5 * total.log()).mean() + consistency(variance["task"], label, 0.1, "one_minus")
    expected = expected + 0.7 * sum(
        (absence_divergence(variance[name], total, 0.0) * (1 - there[name])).mean() for name in there
    )
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("names", [("noise",), ("noise", "blur")])
def test_which_artefacts_a_sample_holds_is_learnt_by_cross_entropy_alone(names):
    """-log p where the artefact is, -log (1 - p) where it is not, mean over samples and artefacts; weighed, added to the rest."""
    batch, network = batch_with_and_without("noise"), networks("task", *names)
    torch.nn.init.normal_(network.requires_grad_().presence_of["noise"][-1].weight)
    (plain, _), (loss, terms) = (terms_of(network, {}, batch, presence_weight=weight) for weight in (0.0, 0.3))
    odds = network.presence(batch.image)
    there = torch.tensor([batch.drawn[name] for name in names]).T
    probability = torch.where(there, torch.sigmoid(odds), torch.sigmoid(-odds))
    assert terms["presence"].item() == pytest.approx(-probability.log().mean().item(), rel=1e-5)
    assert (loss - plain).item() == pytest.approx(0.3 * terms["presence"].item(), rel=1e-4)
    loss.backward()
    found = [parameter.grad for parameter in network.presence_of.parameters()]
    expected = torch.autograd.grad(-0.3 * probability.log().mean(), list(network.presence_of.parameters()))
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(found, expected, strict=True))


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


def test_routed_a_teacher_is_asked_only_where_its_artefact_is_and_elsewhere_the_variance_is_to_vanish():
    batch, network = batch_with_and_without("noise"), networks("task", "noise", "blur")
    teacher = networks("task", "noise")
    _, variance = maps_of(network, batch.image)
    there = torch.tensor(batch.drawn["noise"])
    target = maps_of(teacher, batch.single["noise"])[1]["noise"]
    asked = []
    teacher.register_forward_hook(lambda module, inputs, outputs: asked.append(inputs[0]))

    def pull(route, absence_weight):
        _, terms = terms_of(network, {"noise": teacher}, batch, route=route, absence_weight=absence_weight)
        return terms["consistency"].item()

    assert pull("paper", 0.7) == pytest.approx(consistency(variance["noise"], target, 0.1, "one_minus").item())
    assert torch.equal(asked.pop(), batch.single["noise"])
    present = consistency(variance["noise"][there], target[there], 0.1, "one_minus").item() / 2
    assert present > 0.01
    assert pull("routed", 0.0) == pytest.approx(present, rel=1e-5)
    without = {name: ~torch.tensor(batch.drawn[name]).reshape(-1, 1, 1, 1) for name in ("noise", "blur")}
    absent = sum((variance[name] * without[name]).mean().item() for name in without)
    assert pull("routed", 0.7) == pytest.approx(present + 0.7 * absent, rel=1e-5)
    assert all(torch.equal(seen, batch.single["noise"][there]) for seen in asked)


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


@pytest.mark.parametrize("causes", [("task",), ("task", "noise"), ("task", "spike", "noise", "blur", "wrap", "motion")])
def test_heads_driven_to_their_floor_are_seen_though_together_they_say_more_than_epsilon(causes):
    """Each can say no less than exp(-6), six of them 0.0149; the paper's last epsilon is 0.05 / 64."""
    batch, network = batch_with_and_without("noise"), networks(*causes)
    for head in network.log_variance.values():
        torch.nn.init.zeros_(head.local[-1].weight)
        torch.nn.init.constant_(head.local[-1].bias, -9.0)
    epsilon = 0.05 / 64

    def share():
        _, terms = objective(network, {}, batch, RECIPE, epsilon, False, torch.device("cpu"))
        total = sum(float(terms[f"variance_{cause}"]) for cause in causes)
        return total, float(terms["share_below_epsilon"])

    total, collapsed = share()
    assert total == pytest.approx(len(causes) * math.exp(-6)) and total > epsilon
    assert collapsed == 1
    torch.nn.init.constant_(network.log_variance[causes[-1]].local[-1].bias, -4.5)
    total, healthy = share()
    assert total > len(causes) * math.exp(-6) + epsilon
    assert healthy == 0


def test_the_weight_of_ssim_reaches_the_loss_and_without_it_two_l1_terms_are_left():
    batch, network, task = batch_with_and_without("noise"), networks("task", "noise"), networks("task")
    predicted, target = maps_of(network, batch.image)[1]["task"], maps_of(task, batch.clean)[1]["task"]
    l1 = (predicted - target).abs().mean()
    edges = sum((predicted - target).diff(dim=axis).abs().mean() for axis in (1, 2, 3))
    dissimilarity = 1 - ssim(predicted[:, None], target[:, None]).mean()
    assert dissimilarity > 0.1
    for weight in (0.0, 0.1, 2.0):
        loss, terms = terms_of(network, {"task": task}, batch, ssim_weight=weight)
        assert float(terms["consistency"]) == pytest.approx(float(l1 + edges + weight * dissimilarity), rel=1e-5)
        assert float(loss) == pytest.approx(float(terms["likelihood"] + terms["consistency"]), rel=1e-5)


def test_with_plain_segmentation_loss_the_variance_learns_from_equation_4_and_the_segmentation_does_not():
    batch, network = batch_with_and_without("noise"), networks("task", "noise", "blur").requires_grad_(True)
    gradients = {}
    for choice in ("attenuated", "plain"):
        loss, _ = terms_of(network, {}, batch, segmentation_loss=choice)
        gradients[choice] = torch.autograd.grad(loss, [network.segmentation.weight, *network.log_variance.parameters()])
    logits, _ = maps_of(network, batch.image)
    ce = torch.nn.functional.cross_entropy(logits, batch.label.long())
    (expected,) = torch.autograd.grad(ce, network.segmentation.weight)
    assert torch.allclose(gradients["plain"][0], expected, rtol=1e-4, atol=1e-7)
    assert not torch.allclose(gradients["attenuated"][0], expected, rtol=1e-2)
    for mine, theirs in zip(gradients["plain"][1:], gradients["attenuated"][1:], strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-4, atol=1e-7)
