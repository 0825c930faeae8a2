"""One training loop for the task network, the teachers and the student."""

import logging
import math
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from decoupled_qc.errors import InputError
from decoupled_qc.network import PRESENCES, VARIANCES, DecoupledUNet
from decoupled_qc.precision import best_device
from decoupled_qc.training.board import Board
from decoupled_qc.training.checkpoint import Checkpoint
from decoupled_qc.training.collapse import collapse_warnings
from decoupled_qc.training.compilation import compile_in_place
from decoupled_qc.training.draws import drawing_for
from decoupled_qc.training.held_out import HeldOut
from decoupled_qc.training.objective import objective
from decoupled_qc.training.parallel import ALONE, Team
from decoupled_qc.training.progress import MetricsTable, Progress
from decoupled_qc.training.recipe import Recipe
from decoupled_qc.training.sampling import Batch, PatchStream

log = logging.getLogger(__name__)

SPEAKS_EVERY_S = 60.0  # the log, at least


def fit(
    network: DecoupledUNet,
    frozen: dict[str, DecoupledUNet],
    stream: PatchStream,
    recipe: Recipe,
    folder: Path,
    checkpoint: Checkpoint,
    *,
    held_out: HeldOut | None = None,
    team: Team = ALONE,
) -> float:
    """Train a network in place; write ``metrics.csv``, ``held_out.csv`` and ``tensorboard``; return the last epsilon.

    Its weights at the end, and those that are looked at meanwhile, are the moving average of ``recipe.average_decay``.

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
        folder: Existing folder for what it writes.
        checkpoint: Where to go on, and where to leave the state. An interrupted training ends with the same weights, on a
            CPU to the bit, since nothing but its state and the number of the step decides what comes next.
        held_out: What to look at every so often, which changes nothing; None in a process that does not look.
        team: The processes that share every batch.

    Raises:
        InputError: A batch cannot be shared out evenly, or the processes of a team would go on from different steps.
        FloatingPointError: More than ``max_skipped`` steps in a row were not finite.
        SystemExit: Told to stop, see :class:`decoupled_qc.training.checkpoint.Checkpoint`.

    Source: Shaw et al. 2021, section 4; Shaw et al. 2020, eq. 4 to 7 and Fig. 1.
    """
    device = best_device()
    for model in (network, *frozen.values()):
        model.to(device, memory_format=torch.channels_last_3d)
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(recipe.average_decay))
    if recipe.compile:
        compile_in_place(network)
    parts = _parts(stream.batch_size, recipe.forward_batch_size, team)
    optimiser = _optimiser(network, recipe)
    progress = Progress(recipe.start_ladder())
    saved = checkpoint.load()
    if saved is not None:
        network.load_state_dict(saved["network"])
        averaged.load_state_dict(saved["averaged"])
        optimiser.load_state_dict(saved["optimiser"])
        progress.load(saved["progress"])
        log.info("Resuming at step %d of %d.", progress.step, recipe.steps)
    begins = set(team.gather(progress.step))
    if len(begins) > 1:
        raise InputError(
            f"{checkpoint.path} was not read alike by all processes, which would go on from steps {sorted(begins)}: start the "
            "training again, or remove that file to start from the first step."
        )
    if team.first:
        progress.trim_skipped(checkpoint.path)
    if held_out:
        progress.look_at(held_out.key)

    def state() -> dict:
        parts = {"network": network, "averaged": averaged, "optimiser": optimiser}
        return {name: part.state_dict() for name, part in parts.items()} | {"progress": progress.state()}

    on_cpu = f"the CPU in {team.size} processes" if team.size > 1 else "the CPU"
    log.info("Training on %s.", f"{team.size} GPU" if device.type == "cuda" else on_cpu)
    ladder, first, started = progress.ladder, progress.step, time.monotonic()
    look_every = max(1, round(recipe.look_every * recipe.steps))
    metrics = MetricsTable(folder / "metrics.csv" if team.first else None, progress.rows)
    looks = MetricsTable(folder / "held_out.csv" if team.first else None, progress.looks)
    board = Board(folder if team.first else None, progress.rows, progress.looks)

    def look(step: int) -> None:
        if held_out:
            rows, picture = held_out.look(averaged.module, step, recipe.precision)
            looks.add(*rows)
            board.add_looks(rows)
            board.add_picture(step, picture)
            if step >= recipe.steps / 2:  # a healthy head may take as long to answer
                for sentence in collapse_warnings(pd.DataFrame(looks.rows), pd.DataFrame(metrics.rows)):
                    log.warning("Step %d: %s", step, sentence)

    silent = not (team.first and sys.stderr.isatty())
    spoke = started
    bar = tqdm(total=recipe.steps, initial=first, desc="+".join(network.causes), disable=silent, mininterval=1)
    with bar, metrics, looks, board, checkpoint:
        while progress.step < recipe.steps:
            step = progress.step
            if step % look_every == 0:
                look(step)
            network.train()
            plain = step < recipe.plain_steps
            loss_of = partial(
                objective, network, frozen, recipe=recipe, epsilon=ladder.epsilon, plain=plain, device=device
            )
            terms, origins = _accumulate(network, stream, step, parts, loss_of)
            gradient = _share_and_clip(network, terms, recipe.clip_norm, team)
            if math.isfinite(gradient):
                optimiser.step()
                averaged.update_parameters(network)
                progress.skipped_in_a_row = 0
                if not plain and ladder.update(step + 1 - recipe.plain_steps, float(terms["loss"])):
                    _set_learning_rate(optimiser, ladder.learning_rate)
            else:
                samples = [origin for share in team.gather(origins) for origin in share]
                progress.skip(samples, checkpoint.path, recipe.max_skipped, writes=team.first)
            progress.step += 1
            bar.update()
            recorded = step % recipe.log_every == 0 or step == recipe.steps - 1
            if recorded or time.monotonic() - spoke >= SPEAKS_EVERY_S:
                spoke = time.monotonic()
                row = {
                    "step": step,
                    "epsilon": ladder.epsilon,
                    "learning_rate": ladder.learning_rate,
                    "gradient_norm": gradient,
                    "skipped": progress.skipped,
                    **{name: float(value) for name, value in terms.items()},
                }
                if recorded:
                    metrics.add(row)
                    board.add_terms(row)
                bar.set_postfix_str(_short(row), refresh=False)
                if team.first:
                    log.info("%s", _line(row, (time.monotonic() - started) / (progress.step - first), recipe.steps))
            checkpoint.keep(state, now=progress.step == recipe.steps)
        look(recipe.steps)
    network.load_state_dict(averaged.module.state_dict())
    network.eval()
    return ladder.epsilon


def _parts(batch_size: int, forward_batch_size: int, team: Team) -> list[range]:
    """Return which samples of a batch this process takes, pass by pass; every pass has the same number.

    Raises:
        InputError: They do not come out even.
    """
    if batch_size % (forward_batch_size * team.size):
        raise InputError(
            f"training.batch_size is {batch_size}, which {team.size} processes with training.forward_batch_size "
            f"{forward_batch_size} cannot share evenly: make it a multiple of {forward_batch_size * team.size}."
        )
    starts = range(team.rank * forward_batch_size, batch_size, team.size * forward_batch_size)
    return [range(start, start + forward_batch_size) for start in starts]


def _accumulate(
    network: DecoupledUNet,
    stream: PatchStream,
    step: int,
    parts: list[range],
    loss_of: Callable[[Batch], tuple[Tensor, dict[str, Tensor]]],
) -> tuple[dict[str, Tensor], list[dict]]:
    """Set the gradient of this process's mean loss; return the mean terms, and what the samples were made from."""
    network.zero_grad(set_to_none=True)
    sums, origins = {}, []
    for samples in parts:
        batch = stream.batch(step, samples)
        with drawing_for(*stream.key, "dropout", step, samples.start):
            loss, terms = loss_of(batch)
        (loss / len(parts)).backward()
        sums = {name: sums.get(name, 0) + value / len(parts) for name, value in terms.items()}
        origins += batch.origins
    return sums, origins


def _share_and_clip(network: DecoupledUNet, terms: dict[str, Tensor], clip_norm: float, team: Team) -> float:
    """Average gradient and terms over the processes and clip the gradient; return its norm before clipping.

    The norm is not finite if anything in the gradient or the loss is not.
    """
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    team.average([*gradients, *terms.values()])
    norm = torch.nn.utils.clip_grad_norm_(network.parameters(), clip_norm)
    return float(norm) if torch.isfinite(terms["loss"]) else math.nan


def _optimiser(network: DecoupledUNet, recipe: Recipe) -> torch.optim.Adam:
    """Return Adam; variance heads and what tells artefacts have learning rates that are multiples of the others'."""
    factors = {VARIANCES: recipe.head_learning_rate_factor, PRESENCES: recipe.presence_learning_rate_factor, "": 1.0}
    parts = {start: [] for start in factors}
    for key, value in network.named_parameters():
        parts[next(start for start in factors if key.startswith(start))].append(value)
    groups = [{"params": part, "factor": factors[start]} for start, part in parts.items() if part]
    betas = (0.9, recipe.adam_beta2)
    optimiser = torch.optim.Adam(groups, lr=recipe.learning_rate, betas=betas, fused=parts[""][0].is_cuda)
    _set_learning_rate(optimiser, recipe.learning_rate)
    return optimiser


def _set_learning_rate(optimiser: torch.optim.Adam, learning_rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = learning_rate * group["factor"]


def _short(row: dict[str, float]) -> str:
    """Return what a progress bar shows."""
    return f"loss={row['loss']:.3f}, Dice={row['dice']:.3f}, eps={row['epsilon']:.3g}, lr={row['learning_rate']:.2g}"


def _line(row: dict[str, float], seconds_per_step: float, steps: int) -> str:
    """Return one readable line of progress."""
    step = int(row["step"])
    left = seconds_per_step * (steps - step - 1)
    variances = " ".join(f"{key[9:]} {value:.4f}" for key, value in row.items() if key.startswith("variance_"))
    return (
        f"step {step:>{int(math.log10(steps)) + 1}}/{steps}  loss {row['loss']:.3f}  CE {row['cross_entropy']:.3f}  "
        f"Dice {row['dice']:.3f}  eps {row['epsilon']:.4g}  lr {row['learning_rate']:.2g}  variance: {variances}  "
        f"left {left / 60:.1f} min"
    )
