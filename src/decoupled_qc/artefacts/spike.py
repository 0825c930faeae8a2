"""RF spike: one wrong sample in k-space, seen as stripes over the whole scan.

X[k] += m max|X| exp(i phi) at one index k, uniform over k-space but for the 3 x 3 x 3 samples around zero frequency,
where a spike would only be an offset; no twin at -k, since a receiver's spike has none. In the image this adds
a wave of amplitude m max|X| / n_voxels (about m times the mean intensity); in air the magnitude is evenly grey.

Source: Shaw et al. 2021, section 3 (magnitude U(1, 10) x max|X| of the clean scan, uniform place). Phase, number (one) and
the samples left out are our choice.
"""

import cmath
import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from decoupled_qc.errors import InputError
from decoupled_qc.simulation.kspace import at_severity

CHAIN_POSITION = 1
DOMAIN = "kspace"
MEASURES = ("kspace_max",)
CENTRE_RADIUS = 1  # samples around zero frequency that get no spike


def sample(
    severity: float,
    shape: tuple[int, int, int],
    spacing_mm: Sequence[float],
    rng: np.random.Generator,
    *,
    magnitude: Sequence[float],
) -> dict:
    """Draw a spike.

    Args:
        severity: (0, 1].
        shape: Of the volume (D, H, W), more than three samples along one axis at least.
        spacing_mm: Not used: the artefact lives in index space.
        rng: Where the draws come from.
        magnitude: At severity 0 and 1, multiples of max|X| of the clean scan.

    Returns:
        ``magnitude``; ``location``, index in centred k-space; ``phase_rad``.

    Raises:
        InputError: The volume has no sample far enough from zero frequency.
    """
    if max(shape) <= 2 * CENTRE_RADIUS + 1:
        raise InputError(
            f"A volume of shape {tuple(shape)} is too small for a spike: give one of 4 voxels along an axis."
        )
    centre = np.array(shape) // 2
    location = rng.integers(shape)
    while np.abs(location - centre).max() <= CENTRE_RADIUS:
        location = rng.integers(shape)
    return {
        "severity": severity,
        "magnitude": at_severity(magnitude, severity),
        "location": location.tolist(),
        "phase_rad": float(rng.uniform(0, 2 * math.pi)),
    }


def measure(image: Tensor, record: dict) -> dict:
    """Return ``kspace_max``, max|X| of the clean scan, which the magnitude is a multiple of."""
    return {"kspace_max": float(image.sum())}  # |X[k]| <= sum |x| = X[0], as no voxel is negative


def apply(kspace: Tensor, record: dict) -> Tensor:
    """Add the spike.

    Args:
        kspace: (D, H, W), complex64, unnormalised, in the order of the FFT; overwritten.
        record: From :func:`sample`, with ``kspace_max``.
    """
    index = tuple((place - n // 2) % n for place, n in zip(record["location"], kspace.shape, strict=True))
    kspace[index] += cmath.rect(record["magnitude"] * record["kspace_max"], record["phase_rad"])
    return kspace
