"""What an image looks like without anatomy: how rough it is, and its power along each axis of k-space, in blocks."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

TEXTURE_LAGS = (1, 2, 4)  # voxels
N_TEXTURES = 1 + 3 * (len(TEXTURE_LAGS) + 1)
TEXTURE_BLOCK = 4  # voxels
TEXTURE_FLOOR = 1e-3  # of the image's range: what is below is silent
TEXTURE_OFFSET = 3.5  # brings the logarithm of a typical roughness to about 0
SPECTRUM_BLOCK = 16  # voxels: finest frequencies 1/16 of the sampling rate apart, and still several blocks in a patch
N_FREQUENCIES = SPECTRUM_BLOCK // 2
N_SPECTRA = 3 * N_FREQUENCIES
SPECTRUM_FLOOR = TEXTURE_FLOOR**2
SPECTRUM_SLOPE = 3.5  # a head's power falls about so with frequency: with it every frequency is as loud
RELATIVE_GAIN = 3.0  # brings their spread over clean patches to about 1
N_OF_A_PATCH = 4  # numbers that :func:`over_patch` returns of each map


def texture(image: Tensor) -> Tensor:
    """Return how rough an image is at several distances along each axis, in blocks of 4^3 voxels.

    log(mean |x(u + d) - x(u)| + c) for the lags d along each axis, log(mean |x(u - 1) - 2 x(u) + x(u + 1)| + c), and
    log(mean x + c). Tissue contrast or a receiver's gain adds the same to all of them, so their differences tell artefacts apart
    whatever the subject: noise is as rough at one voxel as at four, blur smooth at one and rough at four, and smoother still in
    its second differences, a ghost brightness in the air. A short training would not find this by itself.

    A difference that leads out of the patch is taken with its opposite face: along each axis that is 1, 2 and all of the 4 planes
    of the last block for the lags 1, 2 and 4, and 1 of the first and the last block's for second differences. These hold contrast
    between two faces, not roughness, in training as at inference; weights were trained with it, so a change needs new ones.

    Args:
        image: (B, 1, D, H, W), float, range [0, 1], sides >= 4; what is left of a side that 4 does not divide is not used.

    Returns:
        (B, N_TEXTURES, D / 4, H / 4, W / 4), float32: brightness, then for each axis the lags and the second difference.
    """
    image = image.float()
    maps = [image]
    for axis in (2, 3, 4):
        maps += [(image.roll(-lag, dims=axis) - image).abs() for lag in TEXTURE_LAGS]
        maps.append((image.roll(-1, dims=axis) + image.roll(1, dims=axis) - 2 * image).abs())
    blocks = F.avg_pool3d(torch.cat(maps, dim=1), TEXTURE_BLOCK)
    return (blocks + TEXTURE_FLOOR).log() + TEXTURE_OFFSET


def spectra(image: Tensor) -> Tensor:
    """Return the power of an image at each frequency along each axis, in blocks of 16^3 voxels.

    (log(mean |X(k)|^2 k^3.5 + c k^3.5) + 1) / 2 of the Hann-windowed Fourier transform X along one axis, k = 1 to 8 cycles
    per block, mean over the block's other two axes. Here artefacts of k-space are told apart where roughness does not: blur cuts
    all power above one frequency, motion and wrap leave it, noise fills it, each along its own axes.

    Args:
        image: (B, 1, D, H, W), float, range [0, 1]; what is left of a side that 16 does not divide is not used, and a shorter
            side is filled up with zeros.

    Returns:
        (B, N_SPECTRA, max(1, D // 16), and so on), float32: for each axis all frequencies, lowest first.
    """
    image = image.float()
    short = [max(SPECTRUM_BLOCK - side, 0) for side in reversed(image.shape[2:])]
    image = F.pad(image, [amount for side in short for amount in (0, side)])
    image = image[(..., *(slice(side // SPECTRUM_BLOCK * SPECTRUM_BLOCK) for side in image.shape[2:]))]
    waves, rise = _waves(image.device)
    powers = []
    for axis in (2, 3, 4):
        lines = image.movedim(axis, -1).unflatten(-1, (-1, SPECTRUM_BLOCK))
        power = (
            (lines @ waves).square().unflatten(-1, (2, N_FREQUENCIES)).sum(dim=-2)
        )  # (B, 1, other, other, blocks, k)
        power = power.unflatten(3, (-1, SPECTRUM_BLOCK)).unflatten(2, (-1, SPECTRUM_BLOCK)).mean(dim=(3, 5))
        powers.append(power.squeeze(1).movedim(-1, 1).movedim(-1, axis))
    power = torch.cat(powers, dim=1) + SPECTRUM_FLOOR
    return (power.log() + rise.repeat(3)[:, None, None, None] + 1) / 2


def _waves(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return windowed cosines and sines, (16, 2 * 8), and log k^3.5 of each of the 8 frequencies.

    A matrix in place of an FFT: as fast for 16 samples, and every runtime has it.
    """
    place = torch.arange(SPECTRUM_BLOCK, device=device)
    k = torch.arange(1, N_FREQUENCIES + 1, device=device)
    phase = 2 * math.pi / SPECTRUM_BLOCK * place[:, None] * k
    window = torch.hann_window(SPECTRUM_BLOCK, device=device)[:, None]
    return torch.cat([phase.cos(), phase.sin()], dim=1) * window, SPECTRUM_SLOPE * k.log()


def over_patch(maps: Tensor) -> Tensor:
    """Return what a whole patch is like: mean, standard deviation, highest and lowest value of every map.

    Args:
        maps: (B, C, d, h, w).

    Returns:
        (B, 4 C, 1, 1, 1): the means of all maps first.
    """
    axes = {"dim": (2, 3, 4), "keepdim": True}
    spread = (maps.var(**axes, correction=0) + TEXTURE_FLOOR).sqrt()  # a constant patch has a gradient, too
    return torch.cat([maps.mean(**axes), spread, maps.amax(**axes), maps.amin(**axes)], dim=1)


def relative(whole: Tensor) -> Tensor:
    """Return what :func:`over_patch` does with the mean over all maps taken out of each of its numbers, and set beside them.

    A gain or a contrast adds to all maps alike; without it, how they differ is learnt from fewer patches.

    Args:
        whole: (B, 4 C, 1, 1, 1).

    Returns:
        (B, 4 (C + 1), 1, 1, 1).
    """
    apart = whole.unflatten(1, (N_OF_A_PATCH, -1))
    mean = apart.mean(dim=2, keepdim=True)
    return RELATIVE_GAIN * torch.cat([apart - mean, mean], dim=2).flatten(1, 2)
