"""Thermal noise of the receiver: complex white Gaussian noise in k-space, Rician in the magnitude image.

X += n, Var(Re n) = Var(Im n) = n_voxels P_noise / 2, P_noise = P_signal 10^(-snr_db / 10), P_signal = mean(x^2) of the clean
scan. By Parseval, the complex image then has an error of power P_noise per voxel.

Source: Shaw et al. 2021, section 3 (SNR U(-10, 20) dB). That the SNR is one of powers, and over which voxels, is reconstructed.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from decoupled_qc.errors import InputError
from decoupled_qc.kspace import at_severity

CHAIN_POSITION = 2
SIGNAL_MASKS = ("volume", "head")


def sample(
    severity: float,
    shape: tuple[int, int, int],
    spacing_mm: Sequence[float],
    rng: np.random.Generator,
    *,
    snr_db: Sequence[float],
    signal_mask: str,
) -> dict:
    """Draw a noise level and the seed of its field.

    Args:
        severity: (0, 1].
        shape: Not used: the field is drawn when it is applied.
        spacing_mm: Not used.
        rng: Where the draws come from.
        snr_db: At severity 0 and 1, dB.
        signal_mask: ``volume``: the signal's power is over all voxels; ``head``: over those above the mean intensity.

    Returns:
        ``snr_db``; ``signal_mask``; ``noise_seed`` of the field.

    Raises:
        InputError: There is no such mask.
    """
    if signal_mask not in SIGNAL_MASKS:
        raise InputError(f"artefacts.noise.signal_mask is '{signal_mask}': use one of {', '.join(SIGNAL_MASKS)}.")
    return {
        "severity": severity,
        "snr_db": at_severity(snr_db, severity),
        "signal_mask": signal_mask,
        "noise_seed": int(rng.integers(2**31)),
    }


def measure(image: Tensor, kspace: Tensor, record: dict) -> dict:
    """Return ``signal_power``, mean(x^2) of the clean scan in the record's mask."""
    signal = image[image > image.mean()] if record["signal_mask"] == "head" else image
    return {"signal_power": float(signal.square().mean())}


def apply(kspace: Tensor, record: dict) -> Tensor:
    """Add the noise.

    The field is drawn on the CPU whatever the device, so that a record gives the same scan on each.

    Args:
        kspace: (D, H, W), complex64, centred, unnormalised.
        record: From :func:`sample`, with ``signal_power``.
    """
    noise_power = record["signal_power"] * 10 ** (-record["snr_db"] / 10)
    generator = torch.Generator().manual_seed(record["noise_seed"])
    field = torch.randn(kspace.shape, dtype=kspace.dtype, generator=generator)  # E|field|^2 = 1
    return kspace + field.to(kspace.device) * (kspace.numel() * noise_power) ** 0.5
