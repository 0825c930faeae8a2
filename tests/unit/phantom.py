"""A small head for tests of the simulators: ellipsoids of several tissues in empty air, with fine texture."""

import json
from pathlib import Path

import numpy as np
import torch
import yaml
from scipy import ndimage
from torch import Tensor

from decoupled_qc import artefacts
from decoupled_qc.seeds import rng_for

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


def noisy(image: np.ndarray, sd: float, seed: int = 0) -> np.ndarray:
    """Return the magnitude of an image with complex noise of a standard deviation in each part, float32."""
    rng = np.random.default_rng(seed)
    return np.hypot(image + rng.normal(0, sd, image.shape), rng.normal(0, sd, image.shape)).astype(np.float32)


def record_of(name, severity, shape, seed=0, *, spacing_mm=SPACING_MM, local_probability=0.0, **changes) -> dict:
    """Return a record of an artefact by the settings of the full configuration but for changes, as it comes out of a table."""
    chosen, rng = SETTINGS[name] | changes, rng_for(seed, "test", name)
    record = artefacts.sample_record(
        name, severity, shape, spacing_mm, rng, chosen, local_probability=local_probability
    )
    return json.loads(json.dumps(record))


def error(image: Tensor, clean: Tensor) -> float:
    """Return the root mean square difference."""
    return float((image - clean).square().mean().sqrt())
