"""On a GPU: seconds per simulated volume, per training step and per predicted scan; memory of the paper's student step.

    python benchmarks/gpu.py --csv FILE

Volumes of 1 mm in a batch of two; steps of config/gpu.yaml, as train.py has them; a scan as predict.py has it, by the weights in
the package. What was asked for as a number stands as the reference. Memory goes to FILE_memory.csv, MiB. Some minutes; without a
GPU it stops at once.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import predict
import simulate
import torch
import train
from measure import peak_mib, row, seconds, tell, write_both

from decoupled_qc import artefacts
from decoupled_qc.apply.folder import open_model
from decoupled_qc.scans import read_scan

PAPER = ("motion", "noise", "spike", "blur", "wrap")
VOLUME_SECONDS, SCAN_SECONDS = 0.02, 2.0  # asked for
CARD_MIB = 24 * 1024  # the memory of a GPU on which there is room, by config/README.md
N_STEPS = 32


def simulation_rows(device: str, names: Sequence[str], rounds: int) -> list[tuple]:
    """Return rows of :func:`measure.write`: seconds per volume in a batch of two, beside those asked for."""
    batch, rows = torch.stack([simulate.head()] * 2)[:, None].to(device), []
    for name in names:
        records = [[simulate.record_of(name)]] * 2
        times = seconds({"ours": lambda records=records: artefacts.corrupt_batch(batch, records)}, rounds)["ours"]
        rows.append(beside(name, [spent / 2 for spent in times], VOLUME_SECONDS))
    return rows


def prediction_rows(rounds: int) -> list[tuple]:
    """Return the row of a scan after the first: the maps on its own grid, and all that `decoupled-qc predict` does."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "head.nii.gz")
        nib.save(nib.Nifti1Image(predict.head(), np.eye(4)), path)
        predictor, write = predict.prepare(path, Path(folder, "out"), open_model(None))
        scan = read_scan(path)
        parts = {
            "second scan, its maps": lambda: predictor(scan),
            "second scan, read and written with its page": lambda: write(predictor(read_scan(path)), True),
        }
        times = seconds(parts, rounds)
    return [beside(name, found, SCAN_SECONDS) for name, found in times.items()]


def prepare_full_step() -> Callable[[], object]:
    """Return some student steps of the paper's network at 1 mm, two patches of 96 each."""
    config = train.configuration(str(train.CONFIG / "config.yaml"))
    config["training"] |= {"batch_size": 2, "forward_batch_size": 2}
    names = list(config["use_artefacts"])
    return train.Kind(config, names, [], names, n_steps=3).training


def beside(name: str, own: list[float], asked: float) -> tuple:
    """Return a row of :func:`measure.write` of what each round took, beside a number that was asked for."""
    return row(name, own, "asked for", [asked] * len(own))


def main() -> None:
    """Measure, print, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--csv", type=Path, help="table to write: name, seconds, reference, reference_seconds, ratio")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("PyTorch sees no GPU here: run this on a machine with one.")
    rows = simulation_rows("cuda", PAPER, 3 * arguments.rounds)
    rows += train.time_rows(train.configuration(str(train.CONFIG / "gpu.yaml")), arguments.rounds, N_STEPS)
    rows += prediction_rows(arguments.rounds)
    tell("s", rows)
    memory = [beside("paper's student step, two patches", [peak_mib(prepare_full_step)], CARD_MIB)]
    tell("MiB", memory)
    write_both(arguments.csv, rows, memory)


if __name__ == "__main__":
    main()
