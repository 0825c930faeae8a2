"""Missing k-space planes: copies of the head that wrap around (regular) or are smeared along an axis (random).

Regular: every q-th plane along a random axis is zero but for a block at the centre, which is the smaller the more severe. Were
there no block, that would leave 1 - 1/q of the image and add ghosts of weight 1/q, shifted by multiples of n/q; with it, low
frequencies do not ghost. Random: a fraction of the planes is zero; a few at the centre are kept, else the mean intensity may go.
In both modes a stronger artefact lacks the planes of a weaker one and more.

Source: Shaw et al. 2021, section 3 (random or regular masking of lines, random axis); the proportions are our choice.
"""

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from decoupled_qc.errors import InputError
from decoupled_qc.simulation.kspace import at_severity, central_planes, place_of

CHAIN_POSITION = 4
DOMAIN = "kspace"


def sample(
    severity: float,
    shape: tuple[int, int, int],
    spacing_mm: Sequence[float],
    rng: np.random.Generator,
    *,
    regular_probability: float,
    every: Sequence[int],
    centre_fraction: Sequence[float],
    fraction: Sequence[float],
) -> dict:
    """Draw the planes that are missing.

    Args:
        severity: (0, 1].
        shape: Of the volume (D, H, W).
        spacing_mm: Not used.
        rng: Where the draws come from.
        regular_probability: Of the regular mode, [0, 1].
        every: Smallest and largest q, >= 2, uniform; regular mode.
        centre_fraction: At severity 0 and 1, (0, 1], or both 0: of the planes that is kept at the centre, rounded up;
            geometric in between, as the energy of k-space falls steeply. Random mode always keeps the latter.
        fraction: At severity 0 and 1: of all planes that is missing, [0, 1]; random mode.

    Returns:
        ``axis``; ``mode``; ``every`` and ``centre_fraction``, or ``fraction``; ``planes``, centred indices that are missing.

    Raises:
        InputError: A setting is out of its range.
    """
    shares = (regular_probability, *centre_fraction, *fraction)
    if min(every) < 2 or min(shares) < 0 or max(shares) > 1 or (centre_fraction[0] > 0) != (centre_fraction[1] > 0):
        raise InputError(
            f"Config block artefacts.wrap has every {every}, regular_probability {regular_probability}, centre_fraction "
            f"{centre_fraction} and fraction {fraction}: give numbers of 2 or more for every, the others from 0 to 1, and "
            "centre_fraction either without a 0 or as [0, 0]."
        )
    axis = int(rng.integers(3))
    n = shape[axis]
    regular = rng.random() < regular_probability
    step, first, order = int(rng.integers(every[0], every[1] + 1)), rng.random(), rng.permutation(n)
    slight, severe = centre_fraction
    if regular:
        centre = slight * (severe / slight) ** severity if slight > 0 else 0.0
        mode = {"mode": "regular", "every": step, "centre_fraction": centre}
        candidates = np.arange(int(first * step), n, step)
        missing = candidates[~np.isin(candidates, _block(n, centre))]
    else:
        share = at_severity(fraction, severity)
        mode = {"mode": "random", "fraction": share}
        missing = np.sort(order[~np.isin(order, _block(n, severe))][: round(share * n)])
    return {"severity": severity, "axis": axis, **mode, "planes": missing.tolist()}


def axes(record: dict) -> Sequence[int]:
    """Return along which axes planes are missing."""
    return [record["axis"]]


def apply(kspace: Tensor, record: dict) -> Tensor:
    """Zero the missing planes.

    Args:
        kspace: (D, H, W), complex64, unnormalised, in the order of the FFT along those axes; overwritten.
        record: From :func:`sample`.
    """
    axis = record["axis"]
    return kspace.index_fill_(axis, place_of(record["planes"], kspace.shape[axis]).to(kspace.device), 0)


def _block(n: int, fraction: float) -> range:
    """Return the centred planes of ``n`` that are kept."""
    return central_planes(n, math.ceil(n * fraction)) if fraction > 0 else range(0)
