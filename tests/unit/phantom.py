"""A small head for tests of the simulators: ellipsoids of several tissues in empty air, with fine texture."""

from pathlib import Path

import numpy as np
import torch
import yaml
from scipy import ndimage
from torch import Tensor

ROOT = Path(__file__).parents[2]
CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text())
SETTINGS = CONFIG["artefacts"]
SPACING_MM = 4.0
SHAPE = (40, 48, 44)


def head(shape: tuple[int, int, int] = SHAPE) -> Tensor:
    """Return a head of any shape, float32, [0, 1]; a fifth of each axis on either side is air, exactly 0."""
    axes = [np.linspace(-1, 1, n) for n in shape]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"))
    radius = np.sqrt((grid**2).sum(axis=0) / 0.3)
    volume = np.select([radius < 0.5, radius < 0.75, radius < 0.85, radius < 1], [0.9, 0.6, 0.2, 0.8], 0.0)
    volume[grid[0] > 0.2] *= 0.8  # a head is not symmetric
    volume = ndimage.gaussian_filter(volume, 0.6)
    volume *= 1 + 0.1 * np.random.default_rng(0).standard_normal(shape)
    volume[radius >= 1.1] = 0
    volume = np.clip(volume, 0, None)
    return torch.from_numpy((volume / volume.max()).astype(np.float32))


def error(image: Tensor, clean: Tensor) -> float:
    """Return the root mean square difference."""
    return float((image - clean).square().mean().sqrt())
