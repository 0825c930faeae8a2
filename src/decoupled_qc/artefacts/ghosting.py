"""Periodic ghosting: pulsation or breathing makes every plane of k-space stronger or weaker in turn.

X[k] *= 1 + a cos(2 pi k / q + phi) along the phase axis, k counted from the centre. The image keeps itself and gains two ghosts
of weight a / 2, shifted by n / q voxels to either side, with phases exp(+-i phi).

Source: modulation of the phase-encoding lines as in Axel et al. 1986 (respiratory ghosts); the proportions are our choice. Beyond
the paper, which has no such artefact.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from decoupled_qc.errors import InputError
from decoupled_qc.simulation.kspace import along, at_severity, frequencies

CHAIN_POSITION = 0.6  # what the coil hears of the object pulsates, before anything is added to it
DOMAIN = "kspace"


def sample(
    severity: float,
    shape: tuple[int, int, int],
    spacing_mm: Sequence[float],
    rng: np.random.Generator,
    *,
    amplitude: Sequence[float],
    period_planes: Sequence[float],
) -> dict:
    """Draw a modulation.

    Args:
        severity: (0, 1].
        shape: Not used: the period is in planes.
        spacing_mm: Not used.
        rng: Where the draws come from.
        amplitude: At severity 0 and 1, a, [0, 1].
        period_planes: Shortest and longest period q, planes, >= 2; uniform.

    Returns:
        ``axis``; ``amplitude``; ``period_planes``; ``phase_rad``.

    Raises:
        InputError: An amplitude is not in [0, 1], or a period is below 2.
    """
    if not (0 <= min(amplitude) <= max(amplitude) <= 1 and min(period_planes) >= 2):
        raise InputError(
            f"Config block artefacts.ghosting has amplitude {amplitude} and period_planes {period_planes}: give amplitudes "
            "from 0 to 1 and periods of 2 planes or more."
        )
    return {
        "severity": severity,
        "axis": int(rng.integers(3)),
        "amplitude": at_severity(amplitude, severity),
        "period_planes": float(rng.uniform(*period_planes)),
        "phase_rad": float(rng.uniform(0, 2 * math.pi)),
    }


def axes(record: dict) -> Sequence[int]:
    """Return along which axes planes are modulated."""
    return [record["axis"]]


def apply(kspace: Tensor, record: dict) -> Tensor:
    """Modulate the planes.

    Args:
        kspace: (D, H, W), complex64, unnormalised, in the order of the FFT along those axes; overwritten.
        record: From :func:`sample`.
    """
    axis = record["axis"]
    turns = frequencies(kspace.shape[axis]) / record["period_planes"]
    gain = 1 + record["amplitude"] * torch.cos(2 * math.pi * turns + record["phase_rad"])
    return kspace.mul_(along(axis, gain).to(kspace.device, torch.float32))
