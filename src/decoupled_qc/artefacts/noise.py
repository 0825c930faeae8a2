"""Thermal noise of the receiver: complex white Gaussian noise in k-space, Rician in the magnitude image.

X += n, Var(Re n) = Var(Im n) = n_voxels P_noise / 2, P_noise = P_signal 10^(-snr_db / 10), P_signal = mean(x^2) of the clean
scan. By Parseval, the complex image then has an error of power P_noise per voxel.

Source: Shaw et al. 2021, section 3 (SNR U(-10, 20) dB). That the SNR is one of powers, and over which voxels, is reconstructed.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from decoupled_qc.errors import InputError
from decoupled_qc.kspace import at_severity

CHAIN_POSITION = 2
DOMAIN = "kspace"
SIGNAL_MASKS = ("volume", "head")
N_STREAMS = 64  # of random numbers, drawn in parallel: the same bits however many threads there are


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


def measure(image: Tensor, record: dict) -> dict:
    """Return ``signal_power``, mean(x^2) of the clean scan in the record's mask."""
    signal = image[image > image.mean()] if record["signal_mask"] == "head" else image
    return {"signal_power": float(torch.linalg.vector_norm(signal)) ** 2 / signal.numel()}


def apply(kspace: Tensor, record: dict) -> Tensor:
    """Add the noise.

    Its random numbers are drawn on the CPU whatever the device, so that a record gives the same scan on each.

    Args:
        kspace: (D, H, W), complex64, unnormalised, in the order of the FFT; overwritten.
        record: From :func:`sample`, with ``signal_power``.
    """
    sd = math.sqrt(kspace.numel() / 2 * record["signal_power"] * 10 ** (-record["snr_db"] / 10))
    kspace = kspace.contiguous()
    parts = torch.view_as_real(kspace).view(-1, 2).tensor_split(N_STREAMS)
    streams = [np.random.SFC64(seed) for seed in np.random.SeedSequence(record["noise_seed"]).spawn(N_STREAMS)]
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for part, uniform in zip(parts, pool.map(_uniform, streams, map(len, parts)), strict=True):
            _add_normal(part, *uniform.to(kspace.device), sd)
    return kspace


def _uniform(stream: np.random.SFC64, count: int) -> Tensor:
    """Return uniform numbers, (2, count), float32, [0, 1)."""
    return torch.from_numpy(np.random.Generator(stream).random((2, count), dtype=np.float32))


def _add_normal(values: Tensor, first: Tensor, second: Tensor, sd: float) -> None:
    """Add independent normal numbers, made of uniform ones (Box and Muller 1958), to both columns of (N, 2)."""
    radius, angle = first.neg_().log1p_().mul_(-2).sqrt_(), second.mul_(2 * math.pi)
    values[:, 0].addcmul_(radius, angle.cos(), value=sd)
    values[:, 1].addcmul_(radius, angle.sin(), value=sd)
