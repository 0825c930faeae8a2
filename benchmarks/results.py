"""Write RESULTS.md from the tables of all benchmarks: the machine, what was asked for, and what was measured.

    python benchmarks/results.py FOLDER

FOLDER holds the csv of each benchmark, made in one run of `make bench`. A target is the largest ratio of ours to the reference.
"""

import platform
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pandas as pd
import psutil
import torch

# (benchmark, name, reference) → largest ratio; a name or reference of None stands for all.
TARGETS = {
    ("simulate", None, "bare FFT pair"): 1.5,
    ("simulate", None, "TorchIO"): 0.5,
    ("simulate", "motion", "three FFT pairs and four resamplings"): 1.0,
    ("train", "task step", None): 1 / 0.85,
    ("train", "student step", None): 1 / 0.7,
    ("train", "bare step, plain heads", None): 1.0,
    ("train_memory", "bare step, plain heads", None): 1.0,
    ("simulate_memory", "motion", "complex volume"): 6.0,
}
NOT_ASKED = {("simulate", "bias", "bare FFT pair")}  # it acts on the image


def target(benchmark: str, name: str, reference: str) -> float | None:
    """Return the largest ratio asked for, if any; a peer is meant by the first word of the reference."""
    if (benchmark, name, reference) in NOT_ASKED:
        return None
    of_peer = (benchmark, None, reference.split()[0])
    for key in ((benchmark, name, reference), (benchmark, name, None), (benchmark, None, reference), of_peer):
        if key in TARGETS:
            return TARGETS[key]
    return None


def lines(folder: Path) -> Iterator[str]:
    """Yield the page's lines."""
    yield "# Benchmarks"
    yield ""
    memory_gib = psutil.virtual_memory().total / 2**30
    yield (
        f"Measured on {date.today()}: {cpu()}, {psutil.cpu_count()} cores, {memory_gib:.0f} GiB, "
        f"Python {platform.python_version()}, PyTorch {torch.__version__}. Medians, ours and its reference in turn in one "
        "process, so that the ratio holds on a busy machine where the seconds do not. "
        "Ratio: ours over the reference, below 1 is better. Again: `make bench`."
    )
    for path in sorted(folder.glob("*.csv")):
        table = pd.read_csv(path)
        unit = table.columns[1]
        yield ""
        yield f"## {path.stem}"
        yield ""
        yield f"| ours | {unit} | reference | {unit} | ratio | asked | met |"
        yield "|---|---|---|---|---|---|---|"
        for _, row in table.iterrows():
            asked = target(path.stem, row["name"], row["reference"])
            verdict = "" if asked is None else ("yes" if row["ratio"] <= asked else "**no**")
            yield (
                f"| {row['name']} | {row[unit]:.3g} | {row['reference']} | {row['reference_' + unit]:.3g} | {row['ratio']:.2f} | "
                f"{'' if asked is None else f'≤ {asked:.3g}'} | {verdict} |"
            )


def cpu() -> str:
    """Return the processor's name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        named = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        if named:
            return named[0]
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    (folder / "RESULTS.md").write_text("\n".join(lines(folder)) + "\n")
    print(folder / "RESULTS.md")
