"""Seconds per volume of every simulated artefact, beside a bare FFT pair and the nearest transform of TorchIO and MONAI.

    python benchmarks/simulate.py --csv FILE

Ours and what it is compared with are timed in turn, round by round, so that a busy machine slows both; medians. The ratio is
ours over the reference: below 1 is faster. The peak memory of motion is measured in a process of its own and goes to
FILE_memory.csv, in MiB. On a GPU: gpu.py.
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
import torchio as tio
from measure import MIB, compare, peak_mib, tell, write_both
from monai.transforms import GibbsNoise, KSpaceSpikeNoise, RandBiasField, RandRicianNoise
from scipy import ndimage
from torch import Tensor

from decoupled_qc import artefacts
from decoupled_qc.artefacts import motion
from decoupled_qc.seeds import rng_for
from decoupled_qc.settings import artefact_settings
from decoupled_qc.simulation.kspace import to_complex_image, to_kspace

SHAPE = (192, 224, 192)
THREADS = 2
SEVERITY = 0.6
N_MOVES = 3  # so four poses, here and in TorchIO


def head() -> Tensor:
    """Return a smooth random blob in air, float32, [0, 1]: the content does not matter for time."""
    rng = np.random.default_rng(0)
    values = ndimage.zoom(rng.random([n // 16 for n in SHAPE]), 16, order=1, mode="nearest", grid_mode=True)
    inside = sum(
        np.linspace(-1, 1, n).reshape([-1 if a == b else 1 for b in range(3)]) ** 2 for a, n in enumerate(SHAPE)
    )
    return torch.from_numpy((values * (inside < 0.8)).astype(np.float32))


def record_of(name: str) -> dict:
    """Return a record with a fixed seed; motion with as many moves, blur along as many axes as the others' have."""
    rng = rng_for(1, "benchmark", name)
    record = artefacts.sample_record(name, SEVERITY, SHAPE, 1.0, rng, artefact_settings()[name], local_probability=0.0)
    if name == "motion":
        draw = np.random.default_rng(2)
        record |= {
            "times": [0.35, 0.5, 0.65],
            "angles_deg": draw.normal(0, 3, (N_MOVES, 3)).tolist(),
            "shifts_mm": draw.normal(0, 2, (N_MOVES, 3)).tolist(),
        }
    return record | ({"axes": [0]} if name == "blur" else {})


def fft_pair(image: Tensor) -> Tensor:
    """Go to k-space and back, nothing else: no magnitude, and from the real image, as the package does."""
    return to_complex_image(to_kspace(image))


def fft_pairs_and_resamplings(image: Tensor) -> list[Tensor]:
    """Do what motion may cost: three FFT pairs, and one trilinear resampling per pose, SimpleITK's, the fastest at hand."""
    still = sitk.GetImageFromArray(image.numpy())
    resampling = sitk.ResampleImageFilter()
    resampling.SetReferenceImage(still)
    resampling.SetNumberOfThreads(THREADS)
    for _, pose in zip(*motion.trajectory(record_of("motion"), image.shape[0]), strict=True):
        resampling.SetTransform(sitk.AffineTransform(pose[:3, :3].ravel().tolist(), pose[:3, 3].tolist()))
        sitk.GetArrayFromImage(resampling.Execute(still))
    return [fft_pair(image) for _ in range(3)]


def references() -> dict[str, dict[str, Callable[[Tensor], object]]]:
    """Return artefact → name of a reference → function of an image (D, H, W)."""
    pair = {"bare FFT pair": fft_pair}

    def with_channel(transform: Callable) -> Callable[[Tensor], object]:
        return lambda image: transform(image[None])

    torchio = {
        "spike": {"TorchIO RandomSpike": tio.RandomSpike(num_spikes=(1, 1), intensity=(2, 2))},
        "noise": {"TorchIO RandomNoise": tio.RandomNoise()},
        "blur": {"TorchIO RandomAnisotropy": tio.RandomAnisotropy(axes=0, downsampling=(3, 3))},
        "ghosting": {"TorchIO RandomGhosting": tio.RandomGhosting(num_ghosts=(4, 4))},
        "motion": {
            "TorchIO RandomMotion": tio.RandomMotion(num_transforms=N_MOVES),
            "B-splines in TorchIO RandomMotion": tio.RandomMotion(
                num_transforms=N_MOVES, image_interpolation="bspline"
            ),
        },
        "bias": {"TorchIO RandomBiasField": tio.RandomBiasField()},
        "wrap": {"TorchIO RandomGhosting of intensity 1": tio.RandomGhosting(num_ghosts=(4, 4), intensity=(1, 1))},
    }
    place = tuple(n // 2 + n // 10 for n in SHAPE)
    monai = {
        "spike": {"MONAI KSpaceSpikeNoise": KSpaceSpikeNoise(loc=place, k_intensity=15.0)},
        "noise": {"MONAI RandRicianNoise": RandRicianNoise(prob=1.0, std=0.1)},
        "blur": {"MONAI GibbsNoise": GibbsNoise(alpha=0.6)},
        "bias": {"MONAI RandBiasField": RandBiasField(prob=1.0)},
    }
    found = {name: dict(pair) for name in artefacts.available()}
    found["motion"] = {"three FFT pairs and four resamplings": fft_pairs_and_resamplings}
    for peers in (torchio, monai):
        for name, transforms in peers.items():
            found[name] |= {title: with_channel(transform) for title, transform in transforms.items()}
    return found


def prepare_motion() -> Callable[[], object]:
    """Return motion of one volume and what its record then tells of it, its libraries loaded."""
    torch.set_num_threads(THREADS)
    device = "cuda" if torch.cuda.is_available() else "cpu"  # whose memory is measured
    image = head().to(device)
    record = record_of("motion") | {"centre_mm": [0.0, 0.0, 0.0]}
    small = torch.rand(16, 16, 16, device=device)
    motion.inspect(small, motion.apply(small, record))
    return lambda: motion.inspect(image, motion.apply(image, record))


def main() -> None:
    """Measure, print, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--csv", type=Path, help="table to write: name, seconds, reference, reference_seconds, ratio")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=artefacts.available(), help="artefacts")
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    image, rows = head(), []
    for name in arguments.only:
        record = record_of(name)
        functions = {"ours": lambda volume, record=record: artefacts.corrupt(volume, [record])} | references()[name]
        own_and_others = {title: partial(function, image) for title, function in functions.items()}
        found = compare(name, own_and_others, arguments.rounds)
        tell("s", found)
        rows += found
    memory = []
    if "motion" in arguments.only:
        own, other = peak_mib(prepare_motion), head().numel() * torch.complex64.itemsize / MIB
        memory.append(("motion", own, "complex volume", other, own / other))
        tell("MiB", memory)
    write_both(arguments.csv, rows, memory)


if __name__ == "__main__":
    sys.exit(main())
