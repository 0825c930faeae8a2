"""Training samples: augmented volumes, corrupted in k-space as a whole, cut into patches."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from decoupled_qc import artefacts
from decoupled_qc.dseg import GREY_MATTER
from decoupled_qc.errors import InputError
from decoupled_qc.seeds import rng_for
from decoupled_qc.simulation.confined import EDGE_MM, confine, share_of_artefact
from decoupled_qc.training.augmentation import augment

OUTSIDE_MARGIN_MM = (0.0, 20.0)  # from the brain, uniform: from its edge to the neck alone


@dataclass(frozen=True)
class Case:
    """One subject's clean volume.

    Args:
        subject: Its name.
        image: (D, H, W), float32, [0, 1].
        dseg: (D, H, W), uint8, values of :mod:`decoupled_qc.dseg`; 0 outside the brain.
    """

    subject: str
    image: Tensor
    dseg: Tensor

    @property
    def label(self) -> Tensor:
        """(D, H, W), uint8: 1 in grey matter."""
        return (self.dseg == GREY_MATTER).to(torch.uint8)

    @property
    def brain(self) -> Tensor:
        """(D, H, W), uint8: 1 in labelled tissue."""
        return (self.dseg > 0).to(torch.uint8)


@dataclass(frozen=True)
class Corruption:
    """How often and how strongly training volumes are corrupted.

    Args:
        names: Artefacts to draw from; none for the task network.
        others: Artefacts that are not this network's cause, so that a teacher learns to stay silent on them.
        settings: Each artefact's config block.
        clean_probability: Of a volume that stays without ``names`` (the paper corrupts about half).
        other_probability: Of such a volume that it holds one of ``others`` (0 in the paper).
        n_artefacts_probability: Of one, two, three … artefacts at once in a corrupted volume.
        local_probability: Of an artefact that covers only a part of the volume (method of Shaw et al. 2020, Fig. 3).
        outside_probability: Of a corrupted volume that its artefacts lie outside the brain alone, from ``OUTSIDE_MARGIN_MM`` on:
            so networks learn that what a scan looks like there matters little to the task.
        spacing_mm: Of the volumes.
    """

    names: Sequence[str]
    others: Sequence[str]
    settings: dict[str, dict]
    clean_probability: float
    other_probability: float
    n_artefacts_probability: Sequence[float]
    local_probability: float
    outside_probability: float
    spacing_mm: float


@dataclass(frozen=True)
class Batch:
    """Patches of one training step, each (B, 1, P, P, P), and their label (B, P, P, P).

    ``clean`` has no artefact, ``image`` all that were drawn, and ``single[name]`` only that one in the same
    realisation: the same as ``clean`` for a sample where it was not drawn (``drawn[name]`` tells). ``origins`` says of
    each sample what it was made from: subject, running number of the volume, and the artefacts' records.
    """

    clean: Tensor
    image: Tensor
    label: Tensor
    single: dict[str, Tensor]
    drawn: dict[str, list[bool]]
    origins: list[dict]


def load_case(subject: str, image_path: Path, dseg_path: Path) -> Case:
    """Read a prepared subject.

    Raises:
        InputError: An image is unreadable, or image and label differ in shape.
    """
    try:
        image = nib.load(image_path).get_fdata(dtype=np.float32)
        dseg = np.asanyarray(nib.load(dseg_path).dataobj)
    except (OSError, EOFError, nib.filebasedimages.ImageFileError) as error:
        raise InputError(f"{subject}: cannot read {image_path} or its label ({error}); make it again.") from error
    if image.shape != dseg.shape:
        raise InputError(f"{dseg_path} has shape {dseg.shape}, its image {image.shape}: label the image itself.")
    return Case(subject, torch.from_numpy(image), torch.from_numpy(dseg.astype(np.uint8)))


class PatchStream:
    """An endless, random-access sequence of training batches.

    A volume is augmented and corrupted once and gives ``patches_per_volume`` patches, because the simulation of a
    whole volume costs more than a training step. Every draw depends only on the seed, the name of the stream and the
    step, so a batch can be made again at any time, in any process.

    Args:
        cases: Subjects to draw from; each is used once per pass, in a random order.
        corruption: What may happen to a volume.
        augmentation: Settings of :func:`decoupled_qc.training.augmentation.augment`; None leaves the volumes as they are.
        patch_size: Side of a cubic patch, voxels.
        batch_size: Patches per step, each of another volume.
        patches_per_volume: Successive steps that use one volume.
        seed, name: Name the stream's random numbers.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        corruption: Corruption,
        augmentation: dict | None,
        *,
        patch_size: int,
        batch_size: int,
        patches_per_volume: int,
        seed: int,
        name: str,
    ):
        self.cases = cases
        self.corruption = corruption
        self.augmentation = augmentation
        self.patch_size = patch_size
        self.batch_size = batch_size
        self.patches_per_volume = patches_per_volume
        self.key = (seed, name)
        self._volumes: dict[int, tuple[dict[str, Tensor], dict]] = {}

    def batch(self, step: int, samples: range | None = None) -> Batch:
        """Return the batch of a step (0 is the first), or only some of its samples."""
        first = step // self.patches_per_volume * self.batch_size
        held = {index: volume for index, volume in self._volumes.items() if first <= index < first + self.batch_size}
        wanted = [first + sample for sample in samples or range(self.batch_size)]
        self._volumes = held | {index: self._make_volume(index) for index in wanted if index not in held}
        volumes = [(index, *self._volumes[index]) for index in wanted]
        samples = [
            (self._cut(versions, rng_for(*self.key, "patch", index, step)), origin)
            for index, versions, origin in volumes
        ]
        names = self.corruption.names
        return Batch(
            clean=torch.stack([patch["clean"] for patch, _ in samples])[:, None],
            image=torch.stack([patch["image"] for patch, _ in samples])[:, None],
            label=torch.stack([patch["label"] for patch, _ in samples]),
            single={
                name: torch.stack([patch.get(name, patch["clean"]) for patch, _ in samples])[:, None] for name in names
            },
            drawn={name: [name in _names(origin) for _, origin in samples] for name in names},
            origins=[origin for _, origin in samples],
        )

    def _make_volume(self, index: int) -> tuple[dict[str, Tensor], dict]:
        """Augment and corrupt the volume of a running number; return its versions by name and what it was made from."""
        rng = rng_for(*self.key, "volume", index)
        epoch, place = divmod(index, len(self.cases))
        case = self.cases[rng_for(*self.key, "order", epoch).permutation(len(self.cases))[place]]
        plan = self.corruption
        clean = case.image
        masks = torch.stack([case.label, case.brain] if plan.outside_probability else [case.label])
        if self.augmentation is not None:
            clean, masks = augment(clean, masks, rng, **self.augmentation)
        drawn = artefacts.draw_artefacts(
            plan.names,
            rng,
            clean_probability=plan.clean_probability,
            n_artefacts_probability=plan.n_artefacts_probability,
        )
        if not drawn and plan.others and rng.random() < plan.other_probability:
            drawn = [str(rng.choice(plan.others))]
        records = [
            artefacts.sample_record(
                name,
                1 - rng.random(),  # severity in (0, 1]
                tuple(clean.shape),
                plan.spacing_mm,
                rng,
                plan.settings[name],
                local_probability=plan.local_probability,
            )
            for name in drawn
        ]
        versions = {"clean": clean, "label": masks[0], "image": artefacts.corrupt(clean, records) if records else clean}
        for name, record in zip(drawn, records, strict=True):
            alone = len(drawn) == 1
            versions[name] = versions["image"] if alone else artefacts.corrupt(clean, [record])
        if drawn and rng.random() < plan.outside_probability:
            where = {"margin_mm": rng.uniform(*OUTSIDE_MARGIN_MM), "edge_mm": EDGE_MM}
            _, brain = masks
            share = share_of_artefact(brain.bool(), 3 * [plan.spacing_mm], **where)
            for name in ("image", *drawn):
                versions[name] = confine(versions[name], clean, share)
            records = [{**record, "outside": where} for record in records]
        return versions, {"subject": case.subject, "volume": index, "records": records}

    def _cut(self, versions: dict[str, Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
        """Cut the same random patch out of every version; a volume smaller than a patch is padded with zeros.

        A patch may be drawn up to a quarter of its side outside the volume and is then moved to the border: otherwise what lies
        there, the neck above all, would hardly be seen in training, but in every border window at inference.
        """
        side = self.patch_size
        shape = versions["clean"].shape
        rim = side // 4
        starts = [int(np.clip(rng.integers(-rim, max(n - side, 0) + rim + 1), 0, max(n - side, 0))) for n in shape]
        where = tuple(slice(start, start + side) for start in starts)
        padding = [amount for n in reversed(shape) for amount in (0, max(side - n, 0))]
        return {name: F.pad(volume[where], padding) for name, volume in versions.items()}


def _names(origin: dict) -> list[str]:
    return [record["artefact"] for record in origin["records"]]
