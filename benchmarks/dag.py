"""Seconds and peak memory of planning a run, against the number of scans.

    python benchmarks/dag.py --csv FILE

A dry run of the full configuration as it is (the embedded heads), of the full reproduction on MR-ART, on tables of scans that are
prepared in 200 batches, and of verdicts on folders of scans: medians of three, all plans in turn. Nothing is run or changed.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import psutil

ROOT = Path(__file__).parents[1]
SCANS = (100, 1000, 10_000)
BATCHES, ROUNDS = 200, 3
A_NEW_RUN = ("--config", "run=planning")  # of which nothing is made yet
VERDICTS = "results/planning/apply/predictions.csv"


def planned(*overlays: Path, targets: Sequence[str] = ()) -> tuple[int, float, float]:
    """Return the number of jobs, the seconds, and the peak memory of a dry run, MiB."""
    configuration = ("--configfile", *map(str, overlays)) if overlays else ()
    call = [sys.executable, "-m", "snakemake", "--cores", "1", "--dry-run", "--quiet", "rules", *configuration]
    asked = ["--nolock", *A_NEW_RUN, "--", *targets]
    start, peak = time.perf_counter(), 0
    with tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen([*call, *asked], cwd=ROOT, stdout=told, stderr=subprocess.STDOUT)
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                peak = max(peak, watched.memory_info().rss)
            except psutil.NoSuchProcess:
                break
            time.sleep(0.02)
        process.wait()
        told.seek(0)
        text = told.read()
    jobs = re.search(r"^total +(\d+)$", text, re.MULTILINE)
    if jobs is None:
        raise RuntimeError(text[-2000:])
    return int(jobs[1]), time.perf_counter() - start, peak / 2**20


def main() -> None:
    """Measure, print, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--csv", type=Path, help="table to write: name, jobs, seconds, low, high, mib; and FILE_scaling.csv"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        plans = {"full configuration": (), "reproduction on MR-ART": (ROOT / "config/mrart.yaml",)}
        plans |= {f"{number} scans": (a_table(Path(name), number),) for number in SCANS}
        verdicts = {f"verdicts on {number} scans": (a_folder(Path(name), number),) for number in SCANS}
        targets = {title: [VERDICTS] for title in verdicts}
        plans |= verdicts
        rounds = [
            {title: planned(*plan, targets=targets.get(title, ())) for title, plan in plans.items()}
            for _ in range(ROUNDS)
        ]
    rows = []
    for title in plans:
        jobs, seconds, mib = zip(*(done[title] for done in rounds), strict=True)
        rows.append((title, jobs[0], statistics.median(seconds), min(seconds), max(seconds), max(mib)))
    found = pd.DataFrame(rows, columns=["name", "jobs", "seconds", "low", "high", "mib"])
    print(found.to_string(index=False, float_format="{:.1f}".format))
    if arguments.csv:
        found.to_csv(arguments.csv, index=False, float_format="%.2f")
        names = ["planning"] * len(SCANS) + ["planning verdicts"] * len(SCANS)
        curve = found.iloc[-len(names) :].assign(name=names, against="scans", value=SCANS * 2)
        curve = curve[["name", "against", "value", "seconds", "mib"]]
        curve.to_csv(arguments.csv.with_name("dag_scaling.csv"), index=False, float_format="%.3f")


def a_table(folder: Path, number: int) -> Path:
    """Return an overlay for a table of so many scans."""
    table, overlay = folder / f"{number}.tsv", folder / f"{number}.yaml"
    lines = "".join(f"sub-{i:05d}\tsub-{i:05d}_T1w.nii.gz\n" for i in range(number))
    table.write_text(f"subject\timage\n{lines}")
    overlay.write_text(f"cohort:\n  source: table\n  scans: {{path: {table}, batches: {BATCHES}}}\n")
    return overlay


def a_folder(folder: Path, number: int) -> Path:
    """Return an overlay for verdicts on a folder of so many scans."""
    scans, overlay = folder / f"verdicts-{number}", folder / f"verdicts-{number}.yaml"
    scans.mkdir()
    for i in range(number):
        (scans / f"{i:05d}.nii.gz").touch()
    overlay.write_text(f"apply:\n  inputs: ['{scans}/*.nii.gz']\n  model: {scans}\n")
    return overlay


if __name__ == "__main__":
    main()
