"""Time and memory of `decoupled-qc predict` for a whole head of 1 mm, beside a bare sliding-window pass of the same network.

The head is a phantom, shells of the size and with the noise of a scan, unless --scan names one; what a step costs depends on the
number of voxels and on how well they compress. Seconds are medians of --rounds, with the fastest and the slowest; what happens
once, loading the model and the first scan, is timed once.

.venv/bin/python benchmarks/predict.py --model results/demo/model --threads 2 --csv benchmarks/predict.csv
"""

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import torch

from decoupled_qc.apply.folder import Model, open_model
from decoupled_qc.apply.inputs import find_inputs
from decoupled_qc.apply.output import begin, key_of, write_result
from decoupled_qc.apply.predictor import Predictor, Result
from decoupled_qc.apply.space import to_model_grid
from decoupled_qc.inference import predict as infer
from decoupled_qc.scans import read_scan

SIDE = 256  # voxels of 1 mm
GIB = 1024**2  # in units of ru_maxrss


def head() -> np.ndarray:
    """Return a stand-in for a whole head: 180 mm of tissue in air, with texture so that gzip has its usual work."""
    axis = np.arange(SIDE, dtype=np.float32) - SIDE / 2
    radius = np.sqrt((axis[:, None, None] / 75) ** 2 + (axis[:, None] / 95) ** 2 + (axis / 90) ** 2)
    shells = np.select([radius < 0.6, radius < 0.8, radius < 0.9, radius < 1], [800, 550, 150, 700], 0)
    noise = np.random.default_rng(0).normal(0, 20, shells.shape)
    return np.abs(shells + noise).astype(np.int16)


def prepare(path: Path, out: Path, model: Model) -> tuple[Predictor, Callable[[Result, bool], None]]:
    """Return what predicts a scan, and what writes its result with or without its page, as `decoupled-qc predict` does."""
    one, key = find_inputs([path], out, {})[0], key_of(path, model)
    begin(out, model.reference)
    return Predictor(model), lambda result, pages: write_result(out, one, result, key, model, pages=pages)


def main() -> None:
    """Measure and print; write the table if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--scan", type=Path, help="instead of the stand-in")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--csv", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows = []

    def timed(what: str, step, rounds: int = arguments.rounds):
        seconds, cpu_seconds = [], []
        for _ in range(rounds):
            start, cpu = time.perf_counter(), time.process_time()
            result = step()
            seconds.append(time.perf_counter() - start)
            cpu_seconds.append(time.process_time() - cpu)
        spread = {"s": statistics.median(seconds), "s_low": min(seconds), "s_high": max(seconds), "rounds": rounds}
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / GIB
        rows.append({"step": what, **spread, "cpu_s": statistics.median(cpu_seconds), "peak_gib": peak})
        return result

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        path = arguments.scan or Path(folder, "head.nii.gz")
        if not arguments.scan:
            nib.save(nib.Nifti1Image(head(), np.eye(4)), path)
        model = timed("load the model", lambda: open_model(arguments.model), rounds=1)
        predictor, write = prepare(path, out, model)

        def whole():
            write(predictor(read_scan(path)), True)

        timed("first scan: read, predict, write with its page", whole, rounds=1)
        timed("second scan", whole)
        scan = timed("of that: read", lambda: read_scan(path))
        image, _ = timed("of that: to the model's grid", lambda: to_model_grid(scan, model.card["spacing_mm"]))
        settings = {"epsilon": model.card["epsilon"], **model.card["inference"]}
        timed("of that: the network", lambda: infer(model.network, image, **settings))
        result = timed("of that: all of the prediction, with maps on the scan's own grid", lambda: predictor(scan))
        timed("of that: write the maps", lambda: write(result, False))
        timed("of that: write the maps and the page", lambda: write(result, True))
        timed("bare sliding-window pass", lambda: infer(model.network, image, **settings | {"mirror": False}))
    table = pd.DataFrame(rows).assign(
        threads=arguments.threads, device=str(predictor.device), spacing_mm=model.card["spacing_mm"]
    )
    print(table.to_string(index=False, float_format="%.2f"))
    if arguments.csv:
        table.to_csv(arguments.csv, index=False, float_format="%.3f")


if __name__ == "__main__":
    main()
