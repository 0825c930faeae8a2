"""Thermal noise of the receiver: complex white Gaussian noise, Rician in the magnitude image.

x' = x + n, Var(Re n) = Var(Im n) = P_noise / 2, P_noise = P_signal 10^(-snr_db / 10), P_signal = mean(x^2) of the
clean scan.

A receiver adds its noise to k-space, but fftn(n) / sqrt(n_voxels) of such an n is distributed as n is, since the DFT is
unitary up to that factor and Gaussian noise is white in every orthonormal basis. So the noise is added in image space,
which saves an FFT pair where it stands alone. A spike or a zipper is added too, so that it does not matter which comes
first, unless either is local, which blends magnitudes; blur and wrap take away from the noise what they take away from the
scan.

Source: Shaw et al. 2021, section 3 (SNR U(-10, 20) dB). That the SNR is one of powers, and over which voxels, is reconstructed.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from decoupled_qc.errors import InputError
from decoupled_qc.simulation.kspace import at_severity
from decoupled_qc.threads import side_by_side

CHAIN_POSITION = 0.8  # after what happens to the head, before what k-space loses
DOMAIN = "image"
MEASURES = ("signal_power",)
SIGNAL_MASKS = ("volume", "head")
N_STREAMS = 32  # of random numbers, drawn in parallel: the same bits however many threads there are
BLOCK_VOXELS = 2**15  # worked on at once
DIRECTIONS = 2**16  # of n in the complex plane; its moments are those of any direction up to this order


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


def apply(image: Tensor, record: dict) -> Tensor:
    """Add the noise.

    Its random bits are drawn on the CPU whatever the device, so that a record gives the same scan on each, but for rounding.

    Args:
        image: (D, H, W), float32 or complex64.
        record: From :func:`sample`, with ``signal_power``.

    Returns:
        (D, H, W), complex64.
    """
    return _with_noise(image, record, torch.complex64)


def apply_seen(image: Tensor, record: dict) -> Tensor:
    """Return |apply(image, record)|, float32, without the complex volume, which would cost as much as the noise."""
    return _with_noise(image, record, torch.float32)


def _with_noise(image: Tensor, record: dict, dtype: torch.dtype) -> Tensor:
    sd = math.sqrt(record["signal_power"] * 10 ** (-record["snr_db"] / 10) / 2)
    if image.device.type != "cpu":
        return _add_on_device(image, record["noise_seed"], dtype, sd)
    noisy = torch.empty(image.shape, dtype=dtype)
    _in_streams(record["noise_seed"], partial(_add, sd=sd), image, noisy)
    return noisy


def _in_streams(noise_seed: int, work: Callable, *volumes: Tensor) -> None:
    """Call ``work`` for every stream of random numbers, side by side.

    Args:
        noise_seed: Of all streams.
        work: (stream, a part of each volume's voxels: (n,), its dtype, a view) → nothing.
        volumes: Each (D, H, W), of any dtype, contiguous, on the CPU.
    """
    streams = [np.random.SFC64(seed) for seed in np.random.SeedSequence(noise_seed).spawn(N_STREAMS)]
    parts = [np.array_split(volume.reshape(-1).numpy(), N_STREAMS) for volume in volumes]
    side_by_side(lambda each: work(*each), zip(streams, *parts, strict=True))


def _draw(stream: np.random.SFC64, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the random bits of voxels: (count,), uint32, for the length of n; (count,), int16, for its direction."""
    n_words = -(-count * 6 // 8)
    bits = np.random.Generator(stream).integers(2**64 - 1, size=n_words, dtype=np.uint64, endpoint=True)
    return bits.view(np.uint32)[:count], bits.view(np.int16)[2 * count : 3 * count]


def _add_on_device(image: Tensor, noise_seed: int, dtype: torch.dtype, sd: float) -> Tensor:
    """Return what :func:`_add` makes, from the same random bits, on the image's device.

    Args:
        image: (D, H, W), float32 or complex64.
        noise_seed: Of the field.
        dtype: Of the result, (D, H, W): complex64, or float32 for its magnitude.
        sd: Of the real and of the imaginary part of n.
    """
    radii, phases = (torch.empty(image.shape, dtype=kind) for kind in (torch.uint32, torch.int16))

    def fill(stream: np.random.SFC64, *parts: np.ndarray) -> None:
        for part, drawn in zip(parts, _draw(stream, len(parts[0])), strict=True):
            part[:] = drawn

    _in_streams(noise_seed, fill, radii, phases)
    # PyTorch can do little with unsigned numbers.
    numbers = (radii.view(torch.int32).to(image.device).long() & 0xFFFFFFFF).float()
    radius = ((numbers + 0.5) * 2.0**-32).log_().mul_(-2 * sd**2).sqrt_()
    noise = torch.polar(radius, phases.to(image.device).float() * (2 * math.pi / DIRECTIONS))
    noisy = noise.add_(image)
    return noisy if dtype.is_complex else noisy.abs()


def _add(stream: np.random.SFC64, image: np.ndarray, noisy: np.ndarray, sd: float) -> None:
    """Write voxels (N,) with noise into ``noisy``, or their magnitude where it is real.

    By Box and Muller 1958: n = sd sqrt(-2 log u) exp(i phi), u of 32 random bits and phi of 16. In NumPy, whose
    functions start no threads of their own, and in blocks that stay in the processor's cache: memory is what costs here.
    """
    count = len(image)
    radii, phases = _draw(stream, count)
    for start in range(0, count, BLOCK_VOXELS):
        block = slice(start, start + BLOCK_VOXELS)
        _add_block(radii[block], phases[block], image[block], noisy[block], sd)


def _add_block(radii: np.ndarray, phases: np.ndarray, image: np.ndarray, noisy: np.ndarray, sd: float) -> None:
    radius = radii.astype(np.float32)
    radius += 0.5  # never log 0
    radius *= 2.0**-32
    np.log(radius, out=radius)
    radius *= -2 * sd**2
    np.sqrt(radius, out=radius)
    phase = phases.astype(np.float32)
    phase *= 2 * math.pi / DIRECTIONS
    real = np.cos(phase)
    real *= radius
    real += image.real
    imaginary = np.sin(phase, out=phase)
    imaginary *= radius
    if np.iscomplexobj(image):
        imaginary += image.imag
    if np.iscomplexobj(noisy):
        noisy.real, noisy.imag = real, imaginary
    else:
        real *= real
        imaginary *= imaginary
        np.sqrt(np.add(real, imaginary, out=real), out=noisy)
