"""Missing k-space planes: copies of the head that wrap around (regular) or are smeared along an axis (random).

Regular: every q-th plane along a random axis is zero. That leaves 1 - 1/q of the image and adds ghosts of weight 1/q, shifted by
multiples of n/q. Random: a fraction of the planes is zero. Planes at the centre of k-space are kept, else the
mean intensity may go.

Source: Shaw et al. 2021, section 3 (random or regular masking of lines, random axis); the proportions are our choice.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from decoupled_qc.kspace import at_severity, central_planes

CHAIN_POSITION = 4


def sample(
    severity: float,
    shape: tuple[int, int, int],
    spacing_mm: Sequence[float],
    rng: np.random.Generator,
    *,
    regular_probability: float,
    every: Sequence[float],
    fraction: Sequence[float],
    centre_fraction: float,
) -> dict:
    """Draw the planes that are missing.

    Args:
        severity: (0, 1].
        shape: Of the volume (D, H, W).
        spacing_mm: Not used.
        rng: Where the draws come from.
        regular_probability: Of the regular mode, [0, 1].
        every: At severity 0 and 1: every which plane is missing, rounded; regular mode.
        fraction: At severity 0 and 1: of all planes that is missing, [0, 1]; random mode.
        centre_fraction: Of the planes that is kept at the centre, [0, 1]; rounded up.

    Returns:
        ``axis``; ``mode``; ``every`` or ``fraction``; ``planes``, indices in centred k-space that are missing.
    """
    axis = int(rng.integers(3))
    n = shape[axis]
    regular = rng.random() < regular_probability
    first, order = rng.random(), rng.permutation(n)
    kept = central_planes(n, math.ceil(n * centre_fraction)) if centre_fraction > 0 else range(0)
    if regular:
        step = round(at_severity(every, severity))
        mode = {"mode": "regular", "every": step}
        missing = np.arange(int(first * step), n, step)
        missing = missing[~np.isin(missing, kept)]
    else:
        share = at_severity(fraction, severity)
        mode = {"mode": "random", "fraction": share}
        missing = np.sort(order[~np.isin(order, kept)][: round(share * n)])
    return {"severity": severity, "axis": axis, **mode, "planes": missing.tolist()}


def apply(kspace: Tensor, record: dict) -> Tensor:
    """Zero the missing planes.

    Args:
        kspace: (D, H, W), complex64, centred, unnormalised.
        record: From :func:`sample`.
    """
    planes = torch.tensor(record["planes"], dtype=torch.long, device=kspace.device)
    return kspace.index_fill(record["axis"], planes, 0)
