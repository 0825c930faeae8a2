"""Low resolution: only the centre of k-space is read along one to three axes, seen as blur with ringing.

All but the central round(n / ratio) planes of each chosen axis of n planes are zero; the edge is hard, as where acquisition
stops. The matrix keeps its size.

Source: Shaw et al. 2021, section 3 (downsampling ratio U(2, 12), one or more axes). How often one, two, three: our choice.
"""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from decoupled_qc.errors import InputError
from decoupled_qc.simulation.kspace import at_severity

CHAIN_POSITION = 3
DOMAIN = "kspace"


def sample(
    severity: float,
    shape: tuple[int, int, int],
    spacing_mm: Sequence[float],
    rng: np.random.Generator,
    *,
    ratio: Sequence[float],
    n_axes_probability: Sequence[float],
) -> dict:
    """Draw a downsampling.

    Args:
        severity: (0, 1].
        shape: Not used: the ratio is relative.
        spacing_mm: Not used.
        rng: Where the draws come from.
        ratio: At severity 0 and 1, planes of the axis per plane kept, >= 1.
        n_axes_probability: Of one, two, three axes, sum 1.

    Returns:
        ``ratio``, common to the axes; ``axes``.

    Raises:
        InputError: A ratio is below 1.
    """
    if min(ratio) < 1:
        raise InputError(
            f"Config key artefacts.blur.ratio is {ratio}: give numbers of 1 or more, planes per plane kept."
        )
    count = 1 + rng.choice(len(n_axes_probability), p=n_axes_probability)
    return {
        "severity": severity,
        "ratio": at_severity(ratio, severity),
        "axes": sorted(rng.permutation(3)[:count].tolist()),
    }


def axes(record: dict) -> Sequence[int]:
    """Return along which axes planes are cut off."""
    return record["axes"]


def apply(kspace: Tensor, record: dict) -> Tensor:
    """Keep the central planes.

    Args:
        kspace: (D, H, W), complex64, unnormalised, in the order of the FFT along those axes; overwritten.
        record: From :func:`sample`.
    """
    for axis in record["axes"]:
        n = kspace.shape[axis]
        kept = max(round(n / record["ratio"]), 1)
        kspace.narrow(axis, (kept + 1) // 2, n - kept).zero_()  # of an even number one more is negative
    return kspace
