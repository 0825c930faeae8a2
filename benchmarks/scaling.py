"""Seconds and peak memory against volume size, threads, scans and bootstrap draws.

    python benchmarks/scaling.py --csv FILE

Seconds are the median of three calls; memory is that of a process of its own, beyond what it held before.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from inference import ours as infer
from measure import peak_mib

from decoupled_qc import artefacts
from decoupled_qc.analysis.correlation import one_set
from decoupled_qc.seeds import rng_for
from decoupled_qc.settings import artefact_settings

SIDES = (64, 96, 128, 192)
SCANS = (300, 1000, 3000, 10_000)
DRAWS = (250, 1000, 4000)
WORKERS = (1, 2)
CALLS = 3


def simulation(name: str, side: int, threads: int) -> Callable[[], object]:
    """Return an artefact of a cube."""
    torch.set_num_threads(threads)
    image, rng = torch.rand((side,) * 3), rng_for(1, "scaling", name)
    record = artefacts.sample_record(name, 0.6, image.shape, 1.0, rng, artefact_settings()[name], local_probability=0.0)
    artefacts.corrupt(torch.rand((16,) * 3), [record])  # libraries load their parts
    return partial(artefacts.corrupt, image, [record])


def inference(side: int, threads: int) -> Callable[[], object]:
    """Return a pass of a cube through the network."""
    torch.set_num_threads(threads)
    return partial(infer, torch.rand((side,) * 3))


def statistic(n_scans: int, n_boot: int) -> Callable[[], object]:
    """Return the correlation of 5 scores, six scans a subject."""
    rng = np.random.default_rng(0)
    subject = np.arange(n_scans) // 6
    scans = pd.DataFrame(rng.normal(size=(n_scans, 6)), columns=["dice:gm", *(f"score{i}:mean" for i in range(5))])
    scans = scans.assign(subject=subject, anatomy=subject)
    return partial(one_set, scans, "dice:gm", list(scans.columns[1:6]), n_boot=n_boot, n_permutations=n_boot, seed=1)


def points() -> list[tuple]:
    """Return (name, against, value, function that prepares, its arguments) of every point."""
    size = [(name, "voxels", side**3, simulation, (name, side, 2)) for name in ("blur", "motion") for side in SIDES]
    size += [("inference", "voxels", side**3, inference, (side, 2)) for side in SIDES[:-1]]
    workers = [("motion, 128³", "threads", n, simulation, ("motion", 128, n)) for n in WORKERS]
    workers += [("inference, 96³", "threads", n, inference, (96, n)) for n in WORKERS]
    scans = [("correlation, 1000 draws", "scans", n, statistic, (n, 1000)) for n in SCANS]
    draws = [("correlation, 1000 scans", "draws", n, statistic, (1000, n)) for n in DRAWS]
    return size + workers + scans + draws


def seconds(prepare: Callable[..., Callable[[], object]], *arguments: object) -> float:
    """Return the median time of a function."""
    function, spent = prepare(*arguments), []
    for _ in range(CALLS):
        start = time.perf_counter()
        function()
        spent.append(time.perf_counter() - start)
    return statistics.median(spent)


def main() -> None:
    """Measure, print, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--csv", type=Path, help="table to write: name, against, value, seconds, mib")
    arguments = parser.parse_args()
    rows = []
    for name, against, value, prepare, settings in points():
        rows.append((name, against, value, seconds(prepare, *settings), peak_mib(prepare, *settings)))
        print("{:26s} {:8s} {:9d} {:8.3f} s {:7.0f} MiB".format(*rows[-1]), flush=True)
    if arguments.csv:
        found = pd.DataFrame(rows, columns=["name", "against", "value", "seconds", "mib"])
        found.to_csv(arguments.csv, index=False, float_format="%.4f")


if __name__ == "__main__":
    main()
