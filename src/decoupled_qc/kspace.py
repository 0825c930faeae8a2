"""k-space of a whole volume, and what the artefacts share: centred, unnormalised three-dimensional FFT.

Source: Shaw et al. 2021, section 3; the convention (centred, unnormalised) is ours.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

SPACE = (-3, -2, -1)  # the three axes of a volume, whatever stands before them


def to_kspace(image: Tensor) -> Tensor:
    """Return X = fftshift(fftn(x)), unnormalised: max |X| of a head is X at the centre, the number of voxels x mean.

    Args:
        image: (..., D, H, W), float32 or complex64.

    Returns:
        Same shape, complex64; zero frequency at index ``n // 2`` of each axis.
    """
    return torch.fft.fftshift(torch.fft.fftn(image, dim=SPACE), dim=SPACE)


def to_complex_image(kspace: Tensor) -> Tensor:
    """Return ifftn(ifftshift(X)), complex64, the same shape."""
    return torch.fft.ifftn(torch.fft.ifftshift(kspace, dim=SPACE), dim=SPACE)


def to_image(kspace: Tensor) -> Tensor:
    """Return the magnitude image |ifftn(ifftshift(X))|, float32, the same shape; never the real part.

    A scanner shows magnitudes: the air of a spiked scan is then evenly grey, and noise in air Rician.
    """
    return to_complex_image(kspace).abs()


def rescale(image: Tensor) -> Tensor:
    """Return the image min-max scaled to [0, 1]; a constant image becomes 0."""
    low, high = image.aminmax()
    return (image - low) / (high - low).clamp(min=torch.finfo(image.dtype).tiny)


def at_severity(pair: Sequence[float], severity: float) -> float:
    """Return the value of a parameter between ``pair[0]`` (severity just above 0) and ``pair[1]`` (severity 1)."""
    start, end = pair
    return float(start + (end - start) * severity)


def central_planes(n: int, count: int) -> range:
    """Return the indices of the ``count`` planes around zero frequency, of ``n``; at least one, at most all."""
    count = min(max(count, 1), n)
    first = n // 2 - count // 2
    return range(first, first + count)
