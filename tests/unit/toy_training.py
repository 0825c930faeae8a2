"""A training of seconds: balls of grey matter, two artefacts, two-level networks."""

import itertools
from dataclasses import replace

import torch

from decoupled_qc.dseg import GREY_MATTER
from decoupled_qc.network import DecoupledUNet
from decoupled_qc.seeds import rng_for, seed_for
from decoupled_qc.training.checkpoint import Checkpoint
from decoupled_qc.training.loop import fit
from decoupled_qc.training.recipe import Recipe
from decoupled_qc.training.sampling import Case, Corruption, PatchStream

COUNT = itertools.count()
SETTINGS = {
    "noise": {"snr_db": [20.0, -10.0], "signal_mask": "volume"},
    "blur": {"ratio": [2.0, 12.0], "n_axes_probability": [0.6, 0.3, 0.1]},
}
SMALL = {
    "channels": (4, 8),
    "head_channels": 4,
    "presence": True,
    "start_log_variance": {"task": 0.0, "artefact": 0.0},
}
RECIPE = Recipe(
    steps=6, forward_batch_size=2, plain_steps=2, learning_rate=1e-3, head_learning_rate_factor=10.0,
    presence_learning_rate_factor=10.0, adam_beta2=0.999,
    clip_norm=5.0, average_decay=0.0, epsilon=0.05, halvings=3,
    ladder=dict(smoothing=0.9, min_improvement=1e-3, check_every=0.2, min_interval=0.2, finish_by=0.8),
    ssim_weight=0.1, ssim_form="one_minus", consistency_weight=1.0, absence_weight=1.0, absence_form="mean",
    presence_weight=0.0, patience=0.3,
    route="paper", segmentation_loss="attenuated", teacher_input="single_artefact",
    beta=0.0, precision="float32", compile=False, max_skipped=2, log_every=1,
    look_every=0.5,
)  # fmt: skip


def phantom(subject):
    """A ball of grey matter with some texture."""
    rng = rng_for(0, subject)
    axes = torch.meshgrid(*[torch.linspace(-1, 1, 20)] * 3, indexing="ij")
    label = sum(axis**2 for axis in axes) < 0.4
    image = 0.3 + 0.4 * label + 0.05 * torch.from_numpy(rng.standard_normal(label.shape)).float()
    return Case(subject, image.clamp(0, 1), GREY_MATTER * label.to(torch.uint8))


def stream(names, others=(), outside_probability=0.0, **changes):
    plan = Corruption(
        names=names,
        others=others,
        settings=SETTINGS,
        clean_probability=0.5,
        other_probability=1.0,
        n_artefacts_probability=[0.5, 0.5],
        local_probability=0.5,
        outside_probability=outside_probability,
        spacing_mm=2.0,
    )
    settings = dict(patch_size=16, batch_size=2, patches_per_volume=2, seed=3, name="test") | changes
    return PatchStream([phantom("a"), phantom("b"), phantom("c")], plan, None, **settings)


class Wrapped:
    """A stream whose batches a test changes at some steps."""

    def __init__(self, inner, *steps):
        self.inner, self.steps = inner, steps

    def __getattr__(self, name):
        return getattr(self.inner, name)


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


def maps_of(network, image):
    logits, log_variance = network(image)
    return logits, dict(zip(network.causes, log_variance.exp().unbind(1), strict=True))


def batch_with_and_without(name):
    """The first batch of which one sample holds the artefact and the other does not."""
    batches = stream(["noise", "blur"])
    return next(b for b in map(batches.batch, range(0, 80, 2)) if sorted(b.drawn[name]) == [False, True])


def assert_alike(first, second):
    """Two networks say the same, but for what six steps of Adam, which divides a gradient by its size, make of rounding.

    Their weights may not be the same: a bias before a norm has no effect and a gradient of pure rounding.
    """
    image = phantom("z").image[None, None, :16, :16, :16]
    for mine, theirs in zip(first.eval()(image), second.eval()(image), strict=True):
        assert torch.allclose(mine, theirs, atol=5e-4)
