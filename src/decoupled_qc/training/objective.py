"""What a training minimises: the likelihood of the labels, and how far each variance is from its pseudo-label."""

from math import exp

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from decoupled_qc.causes import LOG_VARIANCE_LIMITS, TASK
from decoupled_qc.network import DecoupledUNet
from decoupled_qc.precision import autocast
from decoupled_qc.training.losses import absence_divergence, attenuated_cross_entropy, consistency, cross_entropy
from decoupled_qc.training.recipe import Recipe
from decoupled_qc.training.sampling import Batch


def objective(
    network: DecoupledUNet,
    frozen: dict[str, DecoupledUNet],
    batch: Batch,
    recipe: Recipe,
    epsilon: float,
    plain: bool,
    device: torch.device,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of a batch; and, detached, its terms, the Dice and the mean variance of each cause.

    Among the terms, ``consistency`` is what ``consistency_weight`` scales: eq. 7 of every cause with a pseudo-label, each by its
    share of samples, and, when routed, the cost of absent artefacts' variances; ``presence`` is the cross-entropy of which
    artefacts a sample holds, as the simulator knows. ``share_below_epsilon`` is the share of voxels
    whose total variance is less than epsilon above the lowest that the network can say: there the likelihood is cross-entropy
    with one weight for all.

    Args:
        network: In training.
        frozen: cause → trained network in evaluation mode, for every cause that has a pseudo-label.
        batch: On any device.
        recipe: Weights and forms of the terms.
        epsilon: Present step of the ladder.
        plain: Whether the variance does not weigh the cross-entropy yet; it never does if the recipe says so.
        device: Where the networks are.

    Source: Shaw et al. 2020, eq. 4 to 7 and Fig. 1.
    """
    with autocast(recipe.precision, device):
        rows_with_label = {cause: _rows_with_label(cause, batch, recipe.route) for cause in frozen}
        targets = {
            cause: _pseudo_label(teacher, cause, batch, rows_with_label[cause], recipe.teacher_input, device)
            for cause, teacher in frozen.items()
        }
        image = batch.image.to(device).contiguous(memory_format=torch.channels_last_3d)
        logits, log_variance = network(image)
    variance = dict(zip(network.causes, log_variance.float().exp().unbind(dim=1), strict=True))
    ce = cross_entropy(logits, batch.label.to(device))
    consistency_loss = ce.new_zeros(())
    for cause, rows in rows_with_label.items():
        if rows:
            learnt, target = variance[cause][rows], targets[cause][rows]
            share = len(rows) / len(batch.image)
            consistency_loss = consistency_loss + share * consistency(
                learnt, target, recipe.ssim_weight, recipe.ssim_form
            )
    parts = variance
    if recipe.route == "routed":
        parts, absence_cost = _route(variance, targets, batch, recipe, epsilon)
        consistency_loss = consistency_loss + recipe.absence_weight * absence_cost
    plain = plain or recipe.segmentation_loss == "plain"
    weighed = ce.detach() if plain else ce
    likelihood = attenuated_cross_entropy(weighed, sum(parts.values()), epsilon, recipe.beta)
    if plain:
        likelihood = likelihood + ce.mean()
    presence_loss = ce.new_zeros(())
    if recipe.presence_weight and network.presence_of:
        there = torch.tensor(
            [batch.drawn[cause] for cause in network.presence_of], device=device, dtype=torch.float32
        ).T
        presence_loss = binary_cross_entropy_with_logits(network.presence(image), there)
    above_floor = sum(variance.values()).detach() - len(variance) * exp(LOG_VARIANCE_LIMITS[0])
    loss = likelihood + recipe.consistency_weight * consistency_loss + recipe.presence_weight * presence_loss
    return loss, {
        "loss": loss.detach(),
        "cross_entropy": ce.mean().detach(),
        "dice": dice_of(logits.detach(), batch.label.to(device)),
        "likelihood": likelihood.detach(),
        "consistency": consistency_loss.detach(),
        "presence": presence_loss.detach(),
        "share_below_epsilon": (above_floor < epsilon).float().mean(),
        **{f"variance_{cause}": value.mean().detach() for cause, value in variance.items()},
    }


def _rows_with_label(cause: str, batch: Batch, route: str) -> list[int]:
    """Return the samples whose variance of a cause has a pseudo-label; when routed, an artefact's only where it is."""
    everywhere = cause == TASK or route == "paper"
    return [row for row in range(len(batch.image)) if everywhere or batch.drawn[cause][row]]


def _route(
    variance: dict[str, Tensor], targets: dict[str, Tensor], batch: Batch, recipe: Recipe, epsilon: float
) -> tuple[dict[str, Tensor], Tensor]:
    """Return the variances that enter the likelihood, and what those of artefacts that are not there cost.

    A variance with a pseudo-label is replaced by it. An artefact's variance counts only in the samples that hold the
    artefact; in the others, where the simulator knows that there is none, it is to vanish.
    """
    parts = variance | targets
    there = {
        cause: torch.tensor(batch.drawn[cause], device=variance[cause].device).reshape(-1, 1, 1, 1)
        for cause in batch.drawn
        if cause in variance
    }
    for cause, where in there.items():
        parts[cause] = parts[cause] * where
    present = sum(parts.values()).detach() + epsilon
    absence_cost = present.new_zeros(())
    for cause, where in there.items():
        cost = variance[cause]
        if recipe.absence_form == "divergence":
            cost = absence_divergence(cost, present, recipe.beta)
        absence_cost = absence_cost + (cost * ~where).mean()
    return parts, absence_cost


@torch.no_grad()
def _pseudo_label(
    teacher: DecoupledUNet, cause: str, batch: Batch, rows: list[int], teacher_input: str, device: torch.device
) -> Tensor:
    """Return the frozen network's variance of its own cause in the given samples, 0 in others, (B, P, P, P), float32."""
    label = torch.zeros(batch.label.shape, device=device)
    if rows:
        own = batch.image if teacher_input == "student_input" else batch.single.get(cause)
        seen = (batch.clean if cause == TASK else own)[rows].to(device)
        _, log_variance = teacher(seen.contiguous(memory_format=torch.channels_last_3d))
        label[rows] = log_variance[:, teacher.causes.index(cause)].float().exp()
    return label


def dice_of(logits: Tensor, label: Tensor) -> Tensor:
    """Return the Dice of all patches of a batch together; 1 is best, also where grey matter is neither there nor found.

    Args:
        logits: (B, 2, D, H, W).
        label: (B, D, H, W), {0, 1}.
    """
    found, there = logits[:, 1] > logits[:, 0], label.bool()
    total = found.sum() + there.sum()
    return torch.where(total > 0, 2 * (found & there).sum() / total.clamp(min=1), 1.0)
