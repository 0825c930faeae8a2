import math

import pytest
import torch
from monai.losses import SSIMLoss

from decoupled_qc.training.losses import absence_divergence, attenuated_cross_entropy, consistency, cross_entropy, ssim


def softmax_likelihood(logits, label, variance):
    """Eq. 2: -log softmax(f / variance) of the true class."""
    return torch.nn.functional.cross_entropy(logits / variance[:, None], label, reduction="none")


def test_equation_3_equals_equation_2():
    torch.manual_seed(0)
    logits, label = torch.randn(2, 2, 4, 4, 4, dtype=torch.float64), torch.randint(0, 2, (2, 4, 4, 4))
    variance = torch.rand(2, 4, 4, 4, dtype=torch.float64) + 0.3
    remainder = torch.logsumexp(logits / variance[:, None], 1) - torch.logsumexp(logits, 1) / variance
    ours = cross_entropy(logits, label) / variance + remainder  # of which the first is in single precision
    assert torch.allclose(ours, softmax_likelihood(logits, label, variance), atol=1e-5)


def test_equation_4_is_exact_where_the_variance_is_one():
    torch.manual_seed(1)
    logits, label = torch.randn(1, 2, 4, 4, 4), torch.randint(0, 2, (1, 4, 4, 4))
    one = torch.ones(1, 4, 4, 4)
    ours = attenuated_cross_entropy(cross_entropy(logits, label), one - 0.05, epsilon=0.05, beta=0.0)
    assert ours.item() == pytest.approx(softmax_likelihood(logits, label, one).mean().item(), abs=1e-6)


@pytest.mark.parametrize("ce", [0.001, 0.02, 0.2, 1.5])
@pytest.mark.parametrize("epsilon", [0.05, 0.005])
@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_best_variance_is_twice_the_cross_entropy_less_epsilon(ce, epsilon, beta):
    log_variance = torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.Adam([log_variance], lr=0.05)
    for _ in range(1500):
        optimiser.zero_grad()
        attenuated_cross_entropy(torch.tensor([ce]), log_variance.exp(), epsilon, beta).backward()
        optimiser.step()
    assert log_variance.exp().item() == pytest.approx(max(2 * ce - epsilon, 0), abs=2e-3)


def test_loss_floor_is_half_log_epsilon():
    floor = attenuated_cross_entropy(torch.zeros(8), torch.zeros(8), epsilon=0.05, beta=0.0)
    assert floor.item() == pytest.approx(0.5 * math.log(0.05))


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_beta_turns_the_gradient_of_the_segmentation_towards_that_of_plain_cross_entropy(beta):
    ce = torch.tensor([0.05, 0.7], requires_grad=True)
    total = torch.tensor([0.1, 1.4])
    attenuated_cross_entropy(ce, total - 0.01, epsilon=0.01, beta=beta).backward()
    assert torch.allclose(ce.grad, total ** (beta - 1) / 2)


def test_an_absent_artefacts_variance_costs_the_divergence_of_two_normal_distributions_and_none_costs_nothing():
    variance, present = torch.tensor([0.0, 0.01, 0.3, 4.0]), torch.tensor([0.2, 0.2, 0.05, 1.0])
    narrow, wide = (torch.distributions.Normal(0, v.sqrt()) for v in (present, present + variance))
    expected = torch.distributions.kl_divergence(narrow, wide)
    assert torch.allclose(absence_divergence(variance, present, 0.0), expected, atol=1e-6)
    assert torch.allclose(absence_divergence(variance, present, 0.5), expected * (present + variance).sqrt(), atol=1e-6)
    assert absence_divergence(variance, present, 0.0)[0] == 0


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_where_an_artefact_may_or_may_not_be_there_its_variance_is_what_it_adds_times_its_probability(
    probability, beta
):
    task, added, epsilon = 0.2, 0.3, 0.01
    log_variance = torch.full((1,), -2.0, requires_grad=True)
    optimiser = torch.optim.Adam([log_variance], lr=0.02)
    for _ in range(2000):
        optimiser.zero_grad()
        there = attenuated_cross_entropy(
            torch.tensor([(task + added + epsilon) / 2]), task + log_variance.exp(), epsilon, beta
        )
        absent = absence_divergence(log_variance.exp(), torch.tensor([task + epsilon]), beta).mean()
        (probability * there + (1 - probability) * absent).backward()
        optimiser.step()
    assert log_variance.exp().item() == pytest.approx(probability * added, rel=0.01)


def test_ssim_agrees_with_monai():
    torch.manual_seed(2)
    first, second = torch.rand(2, 1, 12, 11, 10), torch.rand(2, 1, 12, 11, 10)
    theirs = SSIMLoss(3, data_range=1.0, kernel_type="uniform", win_size=3)(first, second)
    assert (1 - ssim(first, second).mean()).item() == pytest.approx(theirs.item(), abs=1e-5)


@pytest.mark.parametrize("form", ["one_minus", "half"])
def test_equal_maps_are_consistent(form):
    variance = torch.rand(2, 8, 8, 8)
    assert consistency(variance, variance, 0.1, form).item() == pytest.approx(0, abs=1e-6)


def test_a_constant_offset_costs_its_size_and_no_gradient_term():
    variance = torch.rand(1, 8, 8, 8)
    assert consistency(variance + 0.25, variance, 0.0, "one_minus").item() == pytest.approx(0.25, abs=1e-6)


def test_gradient_term_sums_the_three_axes():
    axis = torch.arange(8.0)
    ramp = (axis[:, None, None] + 2 * axis[:, None] + 4 * axis)[None]  # another slope along each axis
    expected = ramp.mean().item() + 1.0 + 2.0 + 4.0
    assert consistency(ramp, torch.zeros_like(ramp), 0.0, "one_minus").item() == pytest.approx(expected)
