"""Foreign simulators: stand-ins for real artefacts, never seen in training, and not real artefacts.

TorchIO's and MONAI's own transforms differ from ours in what they do to k-space (real part, no demeaning, spherical
low-pass, log-scaled spikes), so they show how far the uncertainty carries beyond the simulator it was trained on. Every
result made with them says that it is a stand-in.
"""

from collections.abc import Callable

import numpy as np
import torch
import torchio as tio
from monai.transforms import GibbsNoise, KSpaceSpikeNoise
from torch import Tensor

from decoupled_qc.errors import InputError
from decoupled_qc.kspace import rescale

# name → transform of a (1, D, H, W) image at a severity in (0, 1]; ranges reach from slight to heavy damage at 1-2 mm.
SIMULATORS: dict[str, Callable[[Tensor, float, np.random.Generator], Tensor]] = {
    "torchio-motion": lambda image, severity, rng: tio.RandomMotion(
        degrees=(2 + 10 * severity,) * 2, translation=(1 + 8 * severity,) * 2, num_transforms=2
    )(image),
    "torchio-ghosting": lambda image, severity, rng: tio.RandomGhosting(
        num_ghosts=(4, 10), axes=(0, 1, 2), intensity=(1.5 * severity,) * 2
    )(image),
    "torchio-spike": lambda image, severity, rng: tio.RandomSpike(num_spikes=1, intensity=(2 * severity,) * 2)(image),
    "torchio-noise": lambda image, severity, rng: tio.RandomNoise(mean=0, std=(0.25 * severity,) * 2)(image),
    "monai-gibbs": lambda image, severity, rng: GibbsNoise(alpha=0.5 + 0.45 * severity)(image),
    "monai-spike": lambda image, severity, rng: KSpaceSpikeNoise(
        loc=tuple(int(rng.integers(n // 2 + 2, n // 2 + n // 4)) for n in image.shape[1:]),
        k_intensity=float(image.sum().log() + 1.5 * severity),
    )(image),
}


def stand_in(name: str, image: Tensor, severity: float, rng: np.random.Generator) -> Tensor:
    """Return the scan with a foreign simulator's artefact, as a magnitude.

    Args:
        name: Of :data:`SIMULATORS`.
        image: (D, H, W), float32, range [0, 1].
        severity: (0, 1], from slight to heavy.
        rng: Where the simulator's seed comes from; global generators are left as they were.

    Returns:
        (D, H, W), float32, min-max scaled to [0, 1]: the absolute value, as some simulators return the real part.

    Raises:
        InputError: There is no such simulator.
    """
    if name not in SIMULATORS:
        raise InputError(f"test.standins names '{name}', which is not a simulator: use {', '.join(SIMULATORS)}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        corrupted = SIMULATORS[name](image[None], severity, rng)
    return rescale(torch.as_tensor(corrupted)[0].float().abs())
