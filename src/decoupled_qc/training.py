"""One training loop for the task network, the teachers and the student."""

import logging
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from decoupled_qc.checkpoint import Checkpoint
from decoupled_qc.ladder import Ladder
from decoupled_qc.losses import attenuated_cross_entropy, consistency, cross_entropy
from decoupled_qc.network import TASK, DecoupledUNet
from decoupled_qc.precision import autocast
from decoupled_qc.progress import MetricsTable, Progress
from decoupled_qc.sampling import Batch, PatchStream

log = logging.getLogger(__name__)

HEAD_PARTS = ("log_variance.",)  # parameters with a learning rate of their own


@dataclass(frozen=True)
class Recipe:
    """How a network is optimised; see ``config/README.md`` for each value's source.

    Args:
        steps: Optimiser steps.
        plain_steps: First steps with plain cross-entropy; the variance learns from it, but does not weigh it yet.
        learning_rate: Of Adam at the start.
        head_learning_rate_factor: Of the variance heads, relative to ``learning_rate``.
        clip_norm: Largest gradient norm.
        epsilon, halvings, ladder, patience: See :class:`decoupled_qc.ladder.Ladder`; the ladder's waiting times are
            fractions of ``steps``.
        ssim_weight, ssim_form: See :func:`decoupled_qc.losses.consistency`.
        consistency_weight: Of eq. 7 as a whole; 1 in the paper.
        absence_weight: Of the mean variance of an artefact in samples without it, when routed.
        route: ``paper``, or ``routed``: in the likelihood a variance that has a pseudo-label is replaced by it and learns
            from the consistency alone, as otherwise the task's share grows to hold the artefact's; and an artefact's
            variance is left out, and pulled to zero, in samples without the artefact.
        beta: See :func:`decoupled_qc.losses.attenuated_cross_entropy`; 0 in the paper.
        precision: Of the forward passes, see :func:`decoupled_qc.precision.autocast`; the losses are in float32.
        max_skipped: Steps in a row that may be skipped because the loss or a gradient is not finite.
        log_every: Steps between rows of ``metrics.csv``.
    """

    steps: int
    plain_steps: int
    learning_rate: float
    head_learning_rate_factor: float
    clip_norm: float
    epsilon: float
    halvings: int
    ladder: dict[str, float]
    patience: float
    ssim_weight: float
    ssim_form: str
    consistency_weight: float
    absence_weight: float
    route: str
    beta: float
    precision: str
    max_skipped: int
    log_every: int

    def start_ladder(self) -> Ladder:
        """Return a ladder with its waiting times in steps, counted from the first with a variance."""
        fractions, steps = self.ladder, self.steps - self.plain_steps
        return Ladder(
            epsilon=self.epsilon,
            learning_rate=self.learning_rate,
            halvings=self.halvings,
            smoothing=fractions["smoothing"],
            min_improvement=fractions["min_improvement"],
            patience=max(1, round(self.patience * steps)),
            **{key: max(1, round(fractions[key] * steps)) for key in ("check_every", "min_interval", "finish_by")},
        )


def fit(
    network: DecoupledUNet,
    frozen: dict[str, DecoupledUNet],
    stream: PatchStream,
    recipe: Recipe,
    folder: Path,
    checkpoint: Checkpoint,
) -> float:
    """Train a network in place; write ``metrics.csv``; return the last epsilon.

    Without frozen networks this is stage 1 (eq. 4). Every frozen network gives the pseudo-label of the cause it is
    named after: the task network sees the clean patch, a teacher the patch with only its own artefact in the same
    realisation (stage 2: eq. 6; stage 3: its form with all causes).

    A step whose loss or gradient is not finite changes nothing; it is counted, and what its batch was made from goes into
    ``<checkpoint>.skipped.jsonl``.

    Args:
        network: Moved to the GPU if there is one.
        frozen: cause → trained network in evaluation mode, for every cause that has a pseudo-label.
        stream: Where the batches come from.
        recipe: How to optimise.
        folder: Existing folder for ``metrics.csv``.
        checkpoint: Where to go on, and where to leave the state. An interrupted training ends with the same weights, on a
            CPU to the bit, since nothing but its state and the number of the step decides what comes next.

    Raises:
        FloatingPointError: More than ``max_skipped`` steps in a row were not finite.
        SystemExit: Told to stop, see :class:`decoupled_qc.checkpoint.Checkpoint`.

    Source: Shaw et al. 2021, section 4; Shaw et al. 2020, eq. 4 to 7 and Fig. 1.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for model in (network, *frozen.values()):
        model.to(device, memory_format=torch.channels_last_3d)
    network.train()
    optimiser = _optimiser(network, recipe)
    progress = Progress(recipe.start_ladder())
    saved = checkpoint.load()
    if saved is not None:
        network.load_state_dict(saved["network"])
        optimiser.load_state_dict(saved["optimiser"])
        progress.load(saved["progress"])
        log.info("Resuming at step %d of %d.", progress.step, recipe.steps)

    def state() -> dict:
        return {"network": network.state_dict(), "optimiser": optimiser.state_dict(), "progress": progress.state()}

    ladder, first, started = progress.ladder, progress.step, time.monotonic()
    bar = tqdm(total=recipe.steps, initial=first, desc=folder.name, disable=not sys.stderr.isatty(), mininterval=1)
    with bar, MetricsTable(folder / "metrics.csv", progress.rows) as table, checkpoint:
        while progress.step < recipe.steps:
            step = progress.step
            batch = stream.batch(step)
            plain = step < recipe.plain_steps
            loss, terms = _loss(network, frozen, batch, recipe, ladder.epsilon, plain, device)
            gradient = _backward(network, optimiser, loss, recipe.clip_norm)
            if math.isfinite(gradient):
                optimiser.step()
                progress.skipped_in_a_row = 0
                if not plain and ladder.update(step + 1 - recipe.plain_steps, loss.item()):
                    _set_learning_rate(optimiser, ladder.learning_rate)
            else:
                progress.skip(batch, checkpoint.path, recipe.max_skipped)
            progress.step += 1
            bar.update()
            if step % recipe.log_every == 0 or step == recipe.steps - 1:
                row = {
                    "step": step,
                    "epsilon": ladder.epsilon,
                    "learning_rate": ladder.learning_rate,
                    "gradient_norm": gradient,
                    "skipped": progress.skipped,
                    **{name: float(value) for name, value in terms.items()},
                }
                table.add(row)
                bar.set_postfix(loss=f"{row['loss']:.3f}", ce=f"{row['cross_entropy']:.3f}", refresh=False)
                log.info("%s", _line(row, (time.monotonic() - started) / (progress.step - first), recipe.steps))
            checkpoint.keep(state, now=progress.step == recipe.steps)
    network.eval()
    return ladder.epsilon


def _backward(network: DecoupledUNet, optimiser: torch.optim.Adam, loss: Tensor, clip_norm: float) -> float:
    """Set the clipped gradient; return its norm before clipping, which is not finite if anything in it or the loss is not."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(network.parameters(), clip_norm)
    return float(norm) if torch.isfinite(loss) else math.nan


def _loss(
    network: DecoupledUNet,
    frozen: dict[str, DecoupledUNet],
    batch: Batch,
    recipe: Recipe,
    epsilon: float,
    plain: bool,
    device: torch.device,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of a batch; and, detached, its terms and the mean variance of each cause."""
    with autocast(recipe.precision, device):
        targets = {cause: _pseudo_label(frozen[cause], cause, batch, device) for cause in frozen}
        image = batch.image.to(device).contiguous(memory_format=torch.channels_last_3d)
        logits, log_variance = network(image)
    variance = dict(zip(network.causes, log_variance.float().exp().unbind(dim=1), strict=True))
    ce = cross_entropy(logits, batch.label.to(device))
    pull = ce.new_zeros(())
    for cause, target in targets.items():
        pull = pull + consistency(variance[cause], target, recipe.ssim_weight, recipe.ssim_form)
    parts = variance
    if recipe.route == "routed":
        parts, stray = _route(variance, targets, batch)
        pull = pull + recipe.absence_weight * stray
    weighed = ce.detach() if plain else ce
    likelihood = attenuated_cross_entropy(weighed, sum(parts.values()), epsilon, recipe.beta)
    if plain:
        likelihood = likelihood + ce.mean()
    total = sum(variance.values()).detach()
    loss = likelihood + recipe.consistency_weight * pull
    return loss, {
        "loss": loss.detach(),
        "cross_entropy": ce.mean().detach(),
        "likelihood": likelihood.detach(),
        "consistency": pull.detach(),
        "share_below_epsilon": (total < epsilon).float().mean(),
        **{f"variance_{cause}": value.mean().detach() for cause, value in variance.items()},
    }


def _route(variance: dict[str, Tensor], targets: dict[str, Tensor], batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
    """Return the variances that enter the likelihood, and the mean variance of artefacts that are not there.

    A variance with a pseudo-label is replaced by it. An artefact's own variance counts only in the samples that hold the
    artefact; in the others, where the simulator knows that there is none, it is to vanish.
    """
    parts, stray = {}, torch.zeros((), device=next(iter(variance.values())).device)
    for cause, value in variance.items():
        if cause in targets:
            parts[cause] = targets[cause]
        elif cause in batch.drawn:
            there = torch.tensor(batch.drawn[cause], device=value.device).reshape(-1, 1, 1, 1)
            parts[cause] = value * there
            stray = stray + (value * ~there).mean()
        else:
            parts[cause] = value
    return parts, stray


@torch.no_grad()
def _pseudo_label(teacher: DecoupledUNet, cause: str, batch: Batch, device: torch.device) -> Tensor:
    """Return the frozen network's variance of its own cause, (B, D, H, W)."""
    image = batch.clean if cause == TASK else batch.single[cause]
    _, log_variance = teacher(image.to(device).contiguous(memory_format=torch.channels_last_3d))
    return log_variance[:, teacher.causes.index(cause)].float().exp()


def _optimiser(network: DecoupledUNet, recipe: Recipe) -> torch.optim.Adam:
    """Return Adam with a group for the variance heads, whose learning rate is a multiple of the others'."""
    heads = [value for key, value in network.named_parameters() if key.startswith(HEAD_PARTS)]
    rest = [value for key, value in network.named_parameters() if not key.startswith(HEAD_PARTS)]
    groups = [{"params": rest, "factor": 1.0}, {"params": heads, "factor": recipe.head_learning_rate_factor}]
    optimiser = torch.optim.Adam(groups, lr=recipe.learning_rate)
    _set_learning_rate(optimiser, recipe.learning_rate)
    return optimiser


def _set_learning_rate(optimiser: torch.optim.Adam, learning_rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = learning_rate * group["factor"]


def _line(row: dict[str, float], seconds_per_step: float, steps: int) -> str:
    """Return one readable line of progress."""
    step = int(row["step"])
    left = seconds_per_step * (steps - step - 1)
    variances = " ".join(f"{key[9:]} {value:.4f}" for key, value in row.items() if key.startswith("variance_"))
    return (
        f"step {step:>{int(math.log10(steps)) + 1}}/{steps}  loss {row['loss']:.3f}  CE {row['cross_entropy']:.3f}  "
        f"eps {row['epsilon']:.4g}  lr {row['learning_rate']:.2g}  variance: {variances}  left {left / 60:.1f} min"
    )
