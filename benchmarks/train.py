"""Seconds and peak memory of a training step, beside bare steps of our network, MONAI's DynUNet and nnU-Net's PlainConvUNet.

    python benchmarks/train.py --csv FILE [--overlay config/demo.yaml]

All have the same widths, get the same random patches in the same number format, and are timed in turn, round by round; medians.
A step of the task network, a teacher or the student is one of a training as users start it: augmentation, simulation, frozen
networks, losses, on random volumes of a head's size; the time of a training of one step is taken off, for its start.
Peak memory goes to FILE_memory.csv.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
import yaml
from measure import peak_mib, row, seconds, synchronise, tell, write_both
from monai.networks.nets import DynUNet
from snakemake.utils import update_config
from torch import nn

from decoupled_qc.dseg import GREY_MATTER
from decoupled_qc.network import DecoupledUNet
from decoupled_qc.precision import autocast
from decoupled_qc.training.checkpoint import Checkpoint
from decoupled_qc.training.loop import fit
from decoupled_qc.training.recipe import Recipe
from decoupled_qc.training.sampling import Case, Corruption, PatchStream

CONFIG = Path(__file__).parents[1] / "config"
SHAPE_MM = (192, 224, 192)
PEERS = ("MONAI DynUNet", "nnU-Net PlainConvUNet")
N_CASES = 4


def configuration(overlay: str) -> dict:
    """Return the default configuration under an overlay."""
    config = yaml.safe_load((CONFIG / "config.yaml").read_text())
    update_config(config, yaml.safe_load(Path(overlay).read_text()))
    return config


def device() -> torch.device:
    """Return where everything runs."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def ours(config: dict, causes: Sequence[str], head_channels: int | None = None) -> DecoupledUNet:
    """Return our network, on request with other variance heads than configured."""
    shape = dict(config["network"])
    if head_channels is not None:
        shape["head_channels"] = head_channels
    return DecoupledUNet(causes, **shape)


def peer(title: str, config: dict, n_outputs: int) -> nn.Module:
    """Return a network of others, of our widths and depth."""
    widths = list(config["network"]["channels"])
    n, relu = len(widths), {"inplace": True, "negative_slope": 0.01}
    strides = [1] + [2] * (n - 1)
    if title == PEERS[0]:
        return DynUNet(
            3,
            1,
            n_outputs,
            kernel_size=[3] * n,
            strides=strides,
            upsample_kernel_size=strides[1:],
            filters=widths,
            norm_name=("INSTANCE", {"affine": True}),
            act_name=("leakyrelu", relu),
        )
    from dynamic_network_architectures.architectures.unet import PlainConvUNet  # installed for benchmarks alone

    return PlainConvUNet(
        1,
        n,
        widths,
        nn.Conv3d,
        3,
        strides,
        n_conv_per_stage=2,
        num_classes=n_outputs,
        n_conv_per_stage_decoder=2,
        conv_bias=True,
        norm_op=nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs=relu,
    )


def bare_step(network: nn.Module, config: dict) -> Callable[[], object]:
    """Return a forward pass, a backward pass and a step of Adam on random patches; all passes of a batch."""
    training = config["training"]
    network.to(device(), memory_format=torch.channels_last_3d)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4)
    side, n = training["patch_size"], training["forward_batch_size"]
    image = torch.rand(n, 1, side, side, side, device=device()).contiguous(memory_format=torch.channels_last_3d)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        for _ in range(training["batch_size"] // n):
            with autocast(training["precision"], device()):
                found = network(image)
            outputs = found if isinstance(found, tuple) else (found,)
            sum(output.float().square().mean() for output in outputs).backward()
        optimiser.step()

    return step


def frozen_passes(frozen: dict[str, DecoupledUNet], needed: list[dict[str, int]], config: dict) -> Callable[[], object]:
    """Return the forward passes of the frozen networks, each on as many patches at a time as are needed of it."""
    training = config["training"]
    side = training["patch_size"]
    images = torch.rand(training["forward_batch_size"], 1, side, side, side, device=device())

    @torch.no_grad()
    def passes() -> None:
        for counts in needed:
            for cause, network in frozen.items():
                if counts[cause]:
                    image = images[: counts[cause]].contiguous(memory_format=torch.channels_last_3d)
                    with autocast(training["precision"], device()):
                        network(image)

    return passes


def patches_needed(batches: PatchStream, causes: Sequence[str], recipe: Recipe, n_steps: int) -> list[dict[str, int]]:
    """Return how many patches each frozen network rates in every pass of some steps; when routed, a teacher its own."""
    size = recipe.forward_batch_size
    parts = [range(first, first + size) for first in range(0, batches.batch_size, size)]
    found = []
    for step in range(n_steps):
        for samples in parts:
            drawn = batches.batch(step, samples).drawn
            routed = {cause: sum(drawn[cause]) for cause in drawn} if recipe.route == "routed" else {}
            found.append({cause: routed.get(cause, size) for cause in causes})
    return found


def cases(config: dict) -> list[Case]:
    """Return random volumes of the cohort's size: their content does not matter for time."""
    shape = [round(size / config["cohort"]["spacing_mm"]) for size in SHAPE_MM]
    images = [torch.rand(*shape, generator=torch.Generator().manual_seed(n)).to(device()) for n in range(N_CASES)]
    return [Case(f"sub-{n}", image, GREY_MATTER * (image > 0.5).to(torch.uint8)) for n, image in enumerate(images)]


def streams(config: dict, names: list[str], others: list[str]) -> Callable[[], PatchStream]:
    """Return a function that begins the batches of a training; the volumes are loaded already.

    Each call of what is timed begins anew: a used stream answers the steps of the volumes that it still holds at no cost.
    """
    plan = Corruption(
        names, others, config["artefacts"], spacing_mm=config["cohort"]["spacing_mm"], **config["corruption"]
    )
    settings = {key: config["training"][key] for key in ("patch_size", "batch_size", "patches_per_volume")}
    return partial(PatchStream, cases(config), plan, config["augmentation"], seed=1, name="+".join(names), **settings)


def steps_of(
    network: DecoupledUNet, frozen: dict[str, DecoupledUNet], begin: Callable[[], PatchStream], recipe: Recipe
) -> Callable[[], object]:
    """Return a training of some steps."""

    def train() -> None:
        with tempfile.TemporaryDirectory() as folder:
            fit(network, frozen, begin(), recipe, Path(folder), Checkpoint(Path(folder, "state"), 60, "benchmark"))

    return train


def data_of(begin: Callable[[], PatchStream], n_steps: int) -> Callable[[], object]:
    """Return the making of the batches of some steps."""

    def make() -> None:
        batches = begin()
        for step in range(n_steps):
            batches.batch(step)

    return make


class Kind:
    """What one kind of training step is made of, each part as a function that does ``n_steps`` of it.

    Args:
        config: Of the run.
        names: Artefacts that the network learns.
        others: That it may see besides.
        donors: Artefacts of the frozen teachers; the task network is frozen too if there are ``names``.
        n_steps: In one call.
    """

    def __init__(self, config: dict, names: list[str], others: list[str], donors: list[str], n_steps: int):
        causes = ("task", *names)
        frozen = {"task": ours(config, ("task",))} if names else {}
        frozen |= {name: ours(config, ("task", name)) for name in donors}
        for network in frozen.values():
            network.eval().requires_grad_(False).to(device(), memory_format=torch.channels_last_3d)
        settings = config["training"] | config["training"]["stages"]["student"]
        settings |= {"plain_steps": 0, "log_every": 10**6}
        recipe = Recipe(**{key: settings[key] for key in Recipe.__dataclass_fields__} | {"steps": 1})
        begin, network = streams(config, names, others), ours(config, causes)
        self.start = steps_of(network, frozen, begin, recipe)
        self.training = steps_of(network, frozen, begin, replace(recipe, steps=1 + n_steps))
        self.bare = _times(n_steps, bare_step(ours(config, causes), config))
        self.passes = frozen_passes(frozen, patches_needed(begin(), list(frozen), recipe, n_steps), config)
        self.data = data_of(begin, n_steps)


def _times(n: int, function: Callable[[], object]) -> Callable[[], object]:
    return lambda: [function() for _ in range(n)]


def time_rows(config: dict, rounds: int, n_steps: int) -> list[tuple]:
    """Return the rows of the table of seconds, each of one step."""
    names = list(config["use_artefacts"])
    others = names[1:] if config["corruption"]["other_probability"] else []
    kinds = {
        "task": Kind(config, [], [], [], n_steps),
        "teacher": Kind(config, names[:1], others, [], n_steps),
        "student": Kind(config, names, [], names, n_steps),
    }
    plain = {"plain heads": ours(config, ("task",), head_channels=0)}
    plain |= {title: peer(title, config, n_outputs=3) for title in PEERS}
    functions = {title: _times(n_steps, bare_step(network, config)) for title, network in plain.items()}
    for name, kind in kinds.items():
        functions |= {(name, part): getattr(kind, part) for part in ("start", "training", "bare", "passes", "data")}
    times = {name: [spent / n_steps for spent in values] for name, values in seconds(functions, rounds).items()}
    rows = [row("bare step, plain heads", times["plain heads"], title, times[title]) for title in PEERS]
    rows.append(
        row("bare step, the run's heads", times["task", "bare"], "bare step, plain heads", times["plain heads"])
    )
    for name in kinds:
        step = [whole - start for whole, start in zip(times[name, "training"], times[name, "start"], strict=True)]
        ideal = [bare + passes for bare, passes in zip(times[name, "bare"], times[name, "passes"], strict=True)]
        rows.append(row(f"{name} step", step, "its bare step and frozen passes", ideal))
        rows.append(row(f"data of a {name} step", times[name, "data"], f"{name} step", step))
    return rows


def prepare(title: str, config: dict, threads: int) -> Callable[[], object]:
    """Return a bare step of a network, after one on small patches, whose memory hardly counts."""
    torch.set_num_threads(threads)
    network = ours(config, ("task",), head_channels=0) if title == "ours" else peer(title, config, n_outputs=3)
    bare_step(network, {**config, "training": config["training"] | {"patch_size": 16}})()
    synchronise()
    return bare_step(network, config)


def main() -> None:
    """Measure, print, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--csv", type=Path, help="table to write: name, seconds, reference, reference_seconds, ratio")
    parser.add_argument("--overlay", default=str(CONFIG / "demo.yaml"), help="configuration over the default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8, help="in one round")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    config = configuration(arguments.overlay)
    rows = time_rows(config, arguments.rounds, arguments.steps)
    tell("s", rows)
    own = peak_mib(prepare, "ours", config, arguments.threads)
    memory = [
        ("bare step, plain heads", own, title, peak_mib(prepare, title, config, arguments.threads)) for title in PEERS
    ]
    memory = [(*row, row[1] / row[3]) for row in memory]
    tell("MiB", memory)
    write_both(arguments.csv, rows, memory)


if __name__ == "__main__":
    main()
