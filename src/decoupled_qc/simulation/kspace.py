"""k-space of a whole volume, and what the artefacts share: the unnormalised three-dimensional FFT.

Data stay in the order of the FFT, zero frequency first, since shifting them would cost as much as the transform. Records count
planes from the lowest frequency, zero at ``n // 2``, as people draw k-space: "centred" below.

Source: Shaw et al. 2021, section 3; the convention (unnormalised, centred indices in records) is ours.
"""

from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

Array = TypeVar("Array", np.ndarray, Tensor)

SPACE = (-3, -2, -1)  # the three axes of a volume, whatever stands before them


def to_kspace(image: Tensor, axes: Sequence[int] = SPACE) -> Tensor:
    """Return X = fftn(x), unnormalised: max |X| of a head is X[0, 0, 0], the number of voxels x mean.

    Args:
        image: (..., D, H, W), float32 or complex64.
        axes: Along which it is transformed; with none the image is returned as it is.

    Returns:
        Same shape, complex64; zero frequency at index 0 of each axis.
    """
    return torch.fft.fftn(image, dim=tuple(axes)) if len(axes) else image


def to_complex_image(kspace: Tensor, axes: Sequence[int] = SPACE) -> Tensor:
    """Return ifftn(X) along the axes that lie in k-space, complex64, the same shape; with none X as it is."""
    return torch.fft.ifftn(kspace, dim=tuple(axes)) if len(axes) else kspace


def magnitude(signal: Tensor) -> Tensor:
    """Return |x|, float32, the same shape, of a real or complex signal; never the real part.

    A scanner shows magnitudes: the air of a spiked scan is then evenly grey, and noise in air Rician.
    """
    if not (signal.is_complex() and signal.device.type == "cpu"):
        return signal.abs()
    return torch.from_numpy(np.abs(signal.numpy()))  # on complex numbers of the CPU ten times faster than torch's


def rescale(image: Tensor, out: Tensor | None = None) -> Tensor:
    """Return the image min-max scaled to [0, 1]; a constant one becomes 0. ``out`` may be the image itself."""
    low, high = image.aminmax()
    return torch.sub(image, low, out=out).div_((high - low).clamp(min=torch.finfo(image.dtype).tiny))


def at_severity(pair: Sequence[float], severity: float) -> float:
    """Return the value of a parameter between ``pair[0]`` (severity just above 0) and ``pair[1]`` (severity 1)."""
    start, end = pair
    return float(start + (end - start) * severity)


def central_planes(n: int, count: int) -> range:
    """Return the centred indices of the ``count`` planes around zero frequency, of ``n``; at least one, at most all."""
    count = min(max(count, 1), n)
    first = n // 2 - count // 2
    return range(first, first + count)


def place_of(planes: Iterable[int], n: int) -> Tensor:
    """Return where centred planes lie in the order of the FFT, (P,), int64, of an axis of ``n``."""
    return (torch.tensor(list(planes), dtype=torch.long) - n // 2) % n


def frequencies(n: int) -> Tensor:
    """Return the frequency of each plane in the order of the FFT, (n,), float64, periods per axis."""
    return torch.fft.fftfreq(n, 1 / n, dtype=torch.float64)


def along(axis: int, values: Array) -> Array:
    """Return values (n,), a tensor or array, shaped to broadcast along one axis of a volume (D, H, W)."""
    return values.reshape([-1 if place == axis else 1 for place in range(3)])
