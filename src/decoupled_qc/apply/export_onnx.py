"""Write a model's network as ONNX, for people who deploy elsewhere, and check it against PyTorch."""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from decoupled_qc.apply.folder import Model, open_model
from decoupled_qc.errors import InputError, ResourceError
from decoupled_qc.files import write_whole
from decoupled_qc.network import DecoupledUNet

TOLERANCE = 1e-4  # largest difference allowed, over the largest value of that output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("out", type=Path, help=".onnx file to write")
    parser.add_argument("--model", type=Path, help="model folder (default: the one that comes with the package)")


def run(arguments: argparse.Namespace) -> None:
    """Export, check, and print how far the two differ.

    Raises:
        InputError: There is no model, or the name is none of an ONNX file.
        ResourceError: The packages for it are not installed, or the export differs from PyTorch.
    """
    if arguments.out.suffix != ".onnx":
        raise InputError(f"{arguments.out} is no ONNX name: end it in .onnx.")
    difference = export(open_model(arguments.model), arguments.out)
    print(f"{arguments.out}: largest difference to PyTorch {difference:.1e} of the largest value")


class Window(nn.Module):
    """A window in; logits, and the variance of each cause, out: what a sliding window blends.

    Args:
        network: In evaluation mode.
    """

    def __init__(self, network: DecoupledUNet):
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B, 2, P, P, P) logits and (B, U, P, P, P) variances of (B, 1, P, P, P) in [0, 1]."""
        logits, log_variance = self.network(image)
        return logits, log_variance.exp()


def export(model: Model, path: Path) -> float:
    """Write the network for windows of the model's size, any number at a time, and check it on a random one.

    The file's metadata hold what is needed around it: spacing, epsilon, causes, and overlap of the windows.

    Args:
        model: An open model.
        path: Of the file.

    Returns:
        The largest difference to PyTorch, over the largest value of that output.

    Raises:
        ResourceError: The packages for it are not installed, or they differ by more than ``TOLERANCE``; nothing is then written.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401, torch's exporter needs it
    except ImportError as error:
        raise ResourceError(f"{error.name} is not installed: pip install 'decoupled-qc[onnx]'.") from error
    side = model.card["inference"]["patch_size"]
    window = Window(model.network.cpu()).eval()
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(2, 1, side, side, side, generator=generator)  # a batch of 1 would become a fixed size
    program = torch.onnx.export(
        window,
        (image,),
        input_names=["image"],
        output_names=["logits", "variance"],
        dynamic_shapes={"image": {0: torch.export.Dim("windows", min=1, max=256)}},
        dynamo=True,
        verbose=False,
    )
    about = {key: model.card[key] for key in ("spacing_mm", "epsilon", "artefacts", "inference", "sha256")}
    causes = list(model.network.causes)
    onnx.helper.set_model_props(program.model_proto, {"decoupled_qc": json.dumps({**about, "causes": causes})})
    with write_whole(path) as partial:
        onnx.save(program.model_proto, partial)
        session = onnxruntime.InferenceSession(partial, providers=["CPUExecutionProvider"])
        with torch.inference_mode():
            wanted = [value.numpy() for value in window(image[:1])]
        found = session.run(None, {"image": image[:1].numpy()})
        difference = max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in zip(wanted, found, strict=True))
        if not difference <= TOLERANCE:
            raise ResourceError(
                f"The exported network differs from PyTorch's by {difference:.1e}: {path} is not written."
            )
    return difference
