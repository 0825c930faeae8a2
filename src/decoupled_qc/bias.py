"""Smooth intensity non-uniformity, for the look of a subject and for augmentation."""

import numpy as np
import torch
from torch import Tensor


def bias_field(shape: tuple[int, ...], rng: np.random.Generator, order: int, coefficient: float) -> Tensor:
    """Return exp(polynomial) on the [-1, 1] cube, a smooth intensity non-uniformity around 1.

    Args:
        shape: Of the volume (D, H, W).
        rng: Where the coefficients come from.
        order: Highest total order of a term x^a y^b z^c, >= 1; there is no constant term.
        coefficient: Each is uniform in (-coefficient, coefficient).
    """
    weights = np.zeros((order + 1,) * 3, dtype=np.float32)
    for powers in np.ndindex(weights.shape):
        if 0 < sum(powers) <= order:
            weights[powers] = rng.uniform(-coefficient, coefficient)
    axes = [torch.linspace(-1, 1, n)[:, None] ** torch.arange(order + 1) for n in shape]
    return torch.einsum("abc,xa,yb,zc->xyz", torch.from_numpy(weights), *axes).exp()
