"""Zipper: a foreign radio signal of one frequency, seen as a bright noisy plane across the read axis.

X[k_read, k_1, k_2] += A exp(-2 pi i k_read x / n_read) exp(i phi[k_1, k_2]): one frequency lies at one place x along
the read axis, and since the source does not know the sequence, its phase is random in every line. In the image the plane
x gains complex noise whose root mean square is m times that of the scan; no other voxel changes.

Source: RF leak as described in Graves and Mitchell 2013; the proportions are our choice. Beyond the paper, which has none.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from decoupled_qc.errors import InputError
from decoupled_qc.simulation.kspace import at_severity, frequencies

CHAIN_POSITION = 1.5  # received with the signal, so that blur and wrap act on it too
DOMAIN = "kspace"
MEASURES = ("signal_rms",)


def sample(
    severity: float,
    shape: tuple[int, int, int],
    spacing_mm: Sequence[float],
    rng: np.random.Generator,
    *,
    magnitude: Sequence[float],
    n_planes: int,
) -> dict:
    """Draw a zipper's place and the seed of its phases.

    Args:
        severity: (0, 1].
        shape: Of the volume (D, H, W).
        spacing_mm: Not used.
        rng: Where the draws come from.
        magnitude: At severity 0 and 1, m, multiples of the scan's root mean square.
        n_planes: Neighbouring planes that are hit, >= 1: a real source is never of one frequency only.

    Returns:
        ``axis``, the read axis; ``planes``, indices of the planes hit; ``magnitude``; ``phase_seed``.

    Raises:
        InputError: No plane is to be hit.
    """
    if n_planes < 1:
        raise InputError(f"Config key artefacts.zipper.n_planes is {n_planes}: give 1 or more.")
    axis = int(rng.integers(3))
    count = min(n_planes, shape[axis])
    first = int(rng.integers(shape[axis] - count + 1))
    return {
        "severity": severity,
        "axis": axis,
        "planes": list(range(first, first + count)),
        "magnitude": at_severity(magnitude, severity),
        "phase_seed": int(rng.integers(2**31)),
    }


def measure(image: Tensor, record: dict) -> dict:
    """Return ``signal_rms``, the root mean square of the clean scan, which the magnitude is a multiple of."""
    return {"signal_rms": float(torch.linalg.vector_norm(image)) / image.numel() ** 0.5}


def apply(kspace: Tensor, record: dict) -> Tensor:
    """Add the foreign signal.

    The phases are drawn on the CPU whatever the device, so that a record gives the same scan on each.

    Args:
        kspace: (D, H, W), complex64, unnormalised, in the order of the FFT; overwritten.
        record: From :func:`sample`, with ``signal_rms``.
    """
    read_first = kspace.movedim(record["axis"], 0)
    n, *line_shape = read_first.shape
    generator = torch.Generator().manual_seed(record["phase_seed"])
    phases = torch.rand((len(record["planes"]), *line_shape), generator=generator) * (2 * math.pi)
    amplitude = record["magnitude"] * record["signal_rms"] * math.prod(line_shape) ** 0.5
    lines = torch.polar(torch.full_like(phases, amplitude), phases)
    turns = frequencies(n)[:, None] * torch.tensor(record["planes"], dtype=torch.float64) / n
    waves = torch.polar(torch.ones_like(turns), -2 * math.pi * turns).to(torch.complex64)
    for wave, line in zip(waves.T.to(kspace.device), lines.to(kspace.device), strict=True):
        read_first.addcmul_(wave[:, None, None], line[None])
    return kspace
