"""Seconds and peak memory of a volume through the network in windows, beside MONAI's and TorchIO's patch inference.

    python benchmarks/inference.py --csv FILE

All take the same windows of the same volume through the same network, untrained, with Gaussian weights (TorchIO: Hann) where
windows overlap. Ours also makes probabilities and variances of what comes out. Peak memory goes to FILE_memory.csv.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torchio as tio
import yaml
from measure import compare, peak_mib, tell, write_both
from monai.inferers import SlidingWindowInferer
from torch import Tensor, nn

from decoupled_qc.inference import predict
from decoupled_qc.network import DecoupledUNet

CONFIG = Path(__file__).parents[1] / "config"
SHAPE = (96, 112, 96)  # a head at 2 mm
CAUSES = ("task", "spike", "noise", "blur", "wrap", "motion")
THREADS = 2


class Stacked(nn.Module):
    """The network with its outputs in one tensor, as the peers ask for it."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, windows: Tensor) -> Tensor:
        return torch.cat(self.network(windows), dim=1)


def network() -> DecoupledUNet:
    """Return the demo's network with random weights."""
    torch.manual_seed(0)
    config = yaml.safe_load((CONFIG / "config.yaml").read_text())["network"]
    return DecoupledUNet(CAUSES, **(config | yaml.safe_load((CONFIG / "demo.yaml").read_text())["network"])).eval()


def windows() -> dict:
    """Return the demo's windows."""
    return yaml.safe_load((CONFIG / "demo.yaml").read_text())["inference"]


def ours(image: Tensor) -> object:
    """Return what our command makes of a volume."""
    return predict(network(), image, epsilon=0.01, precision="float32", mirror=False, **windows())


@torch.inference_mode()
def monai(image: Tensor) -> Tensor:
    """Return the network's outputs by MONAI."""
    size, overlap, batch = (windows()[key] for key in ("patch_size", "overlap", "batch_size"))
    inferer = SlidingWindowInferer((size,) * 3, sw_batch_size=batch, overlap=overlap, mode="gaussian")
    return inferer(image[None, None], Stacked(network()))


@torch.inference_mode()
def torchio(image: Tensor) -> Tensor:
    """Return the network's outputs by TorchIO."""
    size, overlap, batch = (windows()[key] for key in ("patch_size", "overlap", "batch_size"))
    shared = int(size * overlap) // 2 * 2  # TorchIO asks for an even number of voxels
    sampler = tio.GridSampler(tio.Subject(scan=tio.ScalarImage(tensor=image[None])), size, shared)
    aggregator, model = tio.GridAggregator(sampler, overlap_mode="hann"), Stacked(network())
    for patches in tio.SubjectsLoader(sampler, batch_size=batch):
        aggregator.add_batch(model(patches["scan"][tio.DATA]), patches[tio.LOCATION])
    return aggregator.get_output_tensor()


WAYS: dict[str, Callable[[Tensor], object]] = {
    "ours": ours,
    "MONAI SlidingWindowInferer": monai,
    "TorchIO GridAggregator": torchio,
}


def prepare(title: str) -> Callable[[], object]:
    """Return a pass of one volume, its libraries loaded."""
    torch.set_num_threads(THREADS)
    WAYS[title](torch.rand(48, 48, 48))
    return partial(WAYS[title], torch.rand(SHAPE))


def main() -> None:
    """Measure, print, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--csv", type=Path, help="table to write: name, seconds, reference, reference_seconds, ratio")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    name, image = f"volume of {'x'.join(map(str, SHAPE))}", torch.rand(SHAPE)
    rows = compare(name, {title: partial(way, image) for title, way in WAYS.items()}, arguments.rounds)
    own, *peers = ((title, peak_mib(prepare, title)) for title in WAYS)
    memory = [(name, own[1], title, mib, own[1] / mib) for title, mib in peers]
    tell("s", rows)
    tell("MiB", memory)
    write_both(arguments.csv, rows, memory)


if __name__ == "__main__":
    main()
