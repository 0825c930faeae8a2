"""Foreign simulators: stand-ins for real artefacts, never seen in training, and not real artefacts.

TorchIO's and MONAI's own transforms differ from ours in what they do to k-space (real part, no demeaning, spherical
low-pass, log-scaled spikes), so they show how far the uncertainty carries beyond the simulator it was trained on. Every
result made with them says that it is a stand-in.
"""

import json
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch
import torchio as tio
from monai.transforms import GibbsNoise, KSpaceSpikeNoise
from torch import Tensor

from decoupled_qc.errors import InputError
from decoupled_qc.seeds import rng_for
from decoupled_qc.simulation.conditions import Made, clean
from decoupled_qc.simulation.kspace import rescale


def _motion(image: Tensor, severity: float, rng: np.random.Generator) -> Tensor:
    """Five poses of up to 15 degrees and 8 voxels; the affine puts the centre where TorchIO rotates: the world's origin."""
    affine = np.eye(4)
    affine[:3, 3] = [-(n - 1) / 2 for n in image.shape[1:]]
    moving = tio.RandomMotion(degrees=15 * severity, translation=8 * severity, num_transforms=4)
    return moving(tio.ScalarImage(tensor=image, affine=affine)).data


def _log_spike(image: Tensor, severity: float, rng: np.random.Generator) -> Tensor:
    """One sample of log-magnitude log(m sum(x)), m from 0.1 to 2, away from the centre and from the edge."""
    place = tuple(int(rng.integers(n // 2 + 2, n // 2 + n // 4)) for n in image.shape[1:])
    m = 0.1 * 20**severity
    return KSpaceSpikeNoise(loc=place, k_intensity=float((m * image.sum()).log()))(image)


# name → transform of a (1, D, H, W) image at a severity in (0, 1]; from hardly visible to hardly usable at 1-2 mm.
SIMULATORS: dict[str, Callable[[Tensor, float, np.random.Generator], Tensor]] = {
    "torchio-motion": _motion,
    "torchio-ghosting": lambda image, severity, rng: tio.RandomGhosting(
        num_ghosts=(4, 10), axes=(0, 1, 2), intensity=(1.5 * severity,) * 2
    )(image),
    "torchio-spike": lambda image, severity, rng: tio.RandomSpike(
        num_spikes=(1, 1),
        intensity=(2 * severity,) * 2,  # a single 1 would mean none or one
    )(image),
    "torchio-noise": lambda image, severity, rng: tio.RandomNoise(mean=0, std=(0.25 * severity,) * 2)(image),
    "monai-gibbs": lambda image, severity, rng: GibbsNoise(alpha=0.4 + 0.45 * severity)(image),
    "monai-spike": _log_spike,
}


def stand_in(image: Tensor, record: dict) -> Tensor:
    """Return the scan with a foreign simulator's artefact, as a magnitude.

    Args:
        image: (D, H, W), float32, range [0, 1].
        record: ``artefact``, of :data:`SIMULATORS`; ``severity``, (0, 1], from slight to heavy; ``seed`` of the simulator.
            Global generators are left as they were.

    Returns:
        (D, H, W), float32, min-max scaled to [0, 1]: the absolute value, as most of the simulators return the real part.

    Raises:
        InputError: There is no such simulator.
    """
    name, seed = record["artefact"], record["seed"]
    if name not in SIMULATORS:
        raise InputError(f"test.stand_ins names '{name}', which is not a simulator: use {', '.join(SIMULATORS)}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        corrupted = SIMULATORS[name](image[None], record["severity"], np.random.default_rng(seed))
    return rescale(torch.as_tensor(corrupted)[0].float().abs())


def stand_ins(
    image: Tensor, subject: str, number: int, simulators: Sequence[str], per_subject: int, seed: int
) -> list[Made]:
    """Return the clean scan and some with foreign simulators' artefacts, which take turns over the subjects.

    Args:
        image: (D, H, W), float32, the clean scan.
        subject: Names the draws.
        number: Of the subject among the test subjects, from 0.
        simulators: Of :data:`SIMULATORS`.
        per_subject: Corrupted scans of each subject.
        seed: The run's.
    """
    scans = clean(image)
    for turn in range(number * per_subject, (number + 1) * per_subject):
        name = simulators[turn % len(simulators)]
        rng = rng_for(seed, subject, name, "stand-in", turn)
        record = {"artefact": name, "severity": 1 - rng.random(), "seed": int(rng.integers(2**31))}
        scans.append(Made(stand_in(image, record), name, record["severity"], [record]))
    return scans


def remake(row: pd.Series, image: Tensor) -> Tensor:
    """Return a stand-in scan again, bit for bit, from its row in ``scans.tsv`` and the clean scan."""
    records = json.loads(row["records"])
    return stand_in(image, *records) if records else rescale(image)
