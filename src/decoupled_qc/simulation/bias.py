"""Smooth intensity non-uniformity: the exponential of a polynomial, for subjects, augmentation and an artefact."""

import numpy as np
import torch
from torch import Tensor


def bias_field(
    shape: tuple[int, ...], rng: np.random.Generator, order: int, coefficient: float, device: torch.device | str = "cpu"
) -> Tensor:
    """Return exp(polynomial) on the [-1, 1] cube, a smooth intensity non-uniformity around 1.

    Args:
        shape: Of the volume (D, H, W).
        rng: Where the coefficients come from.
        order: Highest total order of a term x^a y^b z^c, >= 1; there is no constant term.
        coefficient: Each is uniform in (-coefficient, coefficient).
        device: Where the field is made; the coefficients are drawn on the CPU and so the same on all.
    """
    return exp_polynomial(shape, polynomial_weights(rng, order, coefficient), device)


def polynomial_weights(rng: np.random.Generator, order: int, coefficient: float) -> np.ndarray:
    """Draw the weights (order + 1, order + 1, order + 1) of the terms x^a y^b z^c; see :func:`bias_field`."""
    weights = np.zeros((order + 1,) * 3, dtype=np.float32)
    for powers in np.ndindex(weights.shape):
        if 0 < sum(powers) <= order:
            weights[powers] = rng.uniform(-coefficient, coefficient)
    return weights


def exp_polynomial(shape: tuple[int, ...], weights: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """Return exp(sum of weights[a, b, c] x^a y^b z^c) on the [-1, 1] cube.

    Args:
        shape: Of the volume (D, H, W).
        weights: (order + 1, order + 1, order + 1), float32.
        device: Where the field is made.

    Returns:
        (D, H, W), float32.
    """
    powers = torch.arange(len(weights), device=device)
    # A single voxel fills its axis: it lies in the middle, where linspace would put it at the begin.
    places = [torch.linspace(-1, 1, n, device=device) if n > 1 else torch.zeros(1, device=device) for n in shape]
    axes = [place[:, None] ** powers for place in places]
    return torch.einsum("abc,xa,yb,zc->xyz", torch.from_numpy(weights).to(device), *axes).exp()
