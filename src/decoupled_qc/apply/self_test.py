"""Check that a model gives on a fixed input what it gave when it was made: weights, libraries and processor together."""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from decoupled_qc.apply.folder import Model, open_model, read_json
from decoupled_qc.apply.reference_checks import is_number
from decoupled_qc.errors import InputError
from decoupled_qc.inference import predict

EXPECTED = "self_test.json"
SIDE = 48  # voxels
TOLERANCE = 0.02  # relative: float32 sums in another order, or another processor, stay far below
# Radius of each shell as a share of the head's, from outside → brightness: scalp, skull, fluid, grey and white matter, fluid.
SHELLS = [(1.0, 0.9), (0.92, 0.1), (0.84, 0.2), (0.8, 0.5), (0.68, 0.75), (0.2, 0.15)]
NOISE = 0.02


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--model", type=Path, help="model folder (default: the one that comes with the package)")


def run(arguments: argparse.Namespace) -> None:
    """Compare a model's numbers with those of its making, and print them.

    Raises:
        InputError: There is no model or nothing to compare with, or a number differs.
    """
    model = open_model(arguments.model)
    path = model.folder / EXPECTED
    if not path.is_file():
        raise InputError(f"{path} is missing: this model was made without a self-test.")
    expected, found = read_json(path), measure(model)
    if expected.keys() != found.keys() or not all(map(is_number, expected.values())):
        raise InputError(f"{path} must hold one number for each of {', '.join(found)}: ask for the model again.")
    for name, value in expected.items():
        print(f"{name:24} {found[name]:.6g} (expected {value:.6g})")
    for name, value in expected.items():
        if not np.isclose(found[name], value, rtol=TOLERANCE):
            raise InputError(f"{model.folder} gives {name} {found[name]:.6g}, not {value:.6g}: install it again.")
    print("The model gives what it gave when it was made.")


def write_expected(folder: Path) -> None:
    """Write what a model gives now into its folder."""
    (folder / EXPECTED).write_text(json.dumps(measure(open_model(folder)), indent=2) + "\n")


def measure(model: Model) -> dict[str, float]:
    """Return the mean grey-matter probability and the mean variance of each cause on :func:`phantom`, in float32."""
    settings = {**model.card["inference"], "patch_size": SIDE, "precision": "float32"}
    found = predict(model.network.cpu(), phantom(), epsilon=model.card["epsilon"], **settings)
    means = {f"variance_{cause}": float(value.mean()) for cause, value in found.variance.items()}
    return {"grey_matter_probability": float(found.probability.mean()), **means}


def phantom() -> Tensor:
    """Return a ball of shells with folds, in noise: (48, 48, 48), float32, [0, 1], the same everywhere."""
    axes = np.meshgrid(*[np.linspace(-1, 1, SIDE)] * 3, indexing="ij")
    radius = np.sqrt(sum(axis**2 for axis in axes)) * 1.15
    folds = 0.03 * np.sin(9 * axes[0]) * np.sin(9 * axes[1]) * np.sin(9 * axes[2])
    image = np.zeros(radius.shape)
    for share, brightness in SHELLS:
        image[radius + folds < share] = brightness
    image += NOISE * np.random.Generator(np.random.PCG64(0)).standard_normal(image.shape)
    return torch.from_numpy(np.clip(image, 0, 1).astype(np.float32))
