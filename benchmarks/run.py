"""Run every benchmark and write RESULTS.md: ``python benchmarks/run.py [NAME ...]``, all by default.

A benchmark is a script here that takes ``--csv FILE``; it is listed in ``BENCHMARKS``. One that fails is named on the page
with its last line, and does not keep the others from running. Then the hostile cases are counted.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pandas as pd
import psutil
import results
import torch

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent
BENCHMARKS = ("simulate", "train", "inference", "predict", "analysis", "coverage", "dag", "audit", "scaling", "gpu")
HOSTILE_MORE = 10  # times as many hostile cases as in the quick tests


def main() -> None:
    """Run, count, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=[*BENCHMARKS, "hostile"])
    names = parser.parse_args().names
    if "gpu" in names and not torch.cuda.is_available():
        names.remove("gpu")  # what was measured on another machine stands
    path = FOLDER / results.RUNS
    runs = pd.read_csv(path, index_col="name", keep_default_na=False) if path.is_file() else pd.DataFrame()
    for name in names:
        print(f"== {name}", flush=True)
        start = time.perf_counter()
        reason = count_hostile() if name == "hostile" else measure(name)
        seconds = f"{time.perf_counter() - start:.0f}"
        run = {"date": str(date.today()), "seconds": seconds, "machine": machine(), "reason": reason}
        runs = pd.concat([runs.drop(name, errors="ignore"), pd.DataFrame(run, index=[name])])
    runs.to_csv(path, index_label="name")
    print(results.write(FOLDER))


def machine() -> str:
    """Return what the benchmarks ran on."""
    memory_gib = psutil.virtual_memory().total / 2**30
    gpu = f"{torch.cuda.get_device_name()}, " if torch.cuda.is_available() else ""
    return (
        f"{gpu}{cpu()} ({torch.backends.cpu.get_cpu_capability()}), {psutil.cpu_count()} cores, {memory_gib:.0f} GiB, "
        f"Python {platform.python_version()}, PyTorch {torch.__version__}"
    )


def cpu() -> str:
    """Return the processor's name."""
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.is_file() else ""
    named = [line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")]
    return (named or [platform.processor() or platform.machine()])[0]


def measure(name: str) -> str:
    """Run a benchmark; return why it failed, or nothing. What an earlier run of it left is removed first."""
    script = FOLDER / f"{name}.py"
    if not script.is_file():
        return "there is no such script"
    for old in (FOLDER / f"{name}.csv", *FOLDER.glob(f"{name}_*.csv")):
        old.unlink(missing_ok=True)
    return last_line([sys.executable, script, "--csv", FOLDER / f"{name}.csv"], {})


def count_hostile() -> str:
    """Try the hostile cases and count them; return why that failed, or nothing."""
    counts = {"HOSTILE_COUNTS": str(FOLDER / results.HOSTILE), "HOSTILE_MORE": str(HOSTILE_MORE)}
    return last_line([sys.executable, "-m", "pytest", "-q", "tests/hostile"], counts)


def last_line(call: list, variables: dict[str, str]) -> str:
    """Run a command and show what it prints; return its last line if it fails."""
    process = subprocess.Popen(
        call, cwd=ROOT, env={**os.environ, **variables}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    line = ""
    for text in process.stdout:
        print(text, end="", flush=True)
        line = text.strip() or line
    return line if process.wait() else ""


if __name__ == "__main__":
    main()
