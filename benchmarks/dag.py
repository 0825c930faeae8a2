"""Seconds and peak memory of planning a run, against the number of scans.

    python benchmarks/dag.py --csv FILE

A dry run of the full configuration as it is, on tables of scans that are prepared in 200 batches, and of verdicts on folders of
scans. Nothing is run or changed.
"""

import argparse
import re
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
BATCHES = 200
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
    parser.add_argument("--csv", type=Path, help="table to write: name, jobs, seconds, mib; and FILE_scaling.csv")
    arguments = parser.parse_args()
    rows = [("full configuration", *planned())]
    with tempfile.TemporaryDirectory() as name:
        for number in SCANS:
            table, overlay = Path(name, f"{number}.tsv"), Path(name, f"{number}.yaml")
            lines = "".join(f"sub-{i:05d}\tsub-{i:05d}_T1w.nii.gz\n" for i in range(number))
            table.write_text(f"subject\timage\n{lines}")
            overlay.write_text(f"cohort:\n  source: table\n  scans: {{path: {table}, batches: {BATCHES}}}\n")
            rows.append((f"{number} scans", *planned(overlay)))
        for number in SCANS:
            folder, overlay = Path(name, f"verdicts-{number}"), Path(name, f"verdicts-{number}.yaml")
            folder.mkdir()
            for i in range(number):
                (folder / f"{i:05d}.nii.gz").touch()
            overlay.write_text(f"apply:\n  inputs: ['{folder}/*.nii.gz']\n  model: {folder}\n")
            rows.append((f"verdicts on {number} scans", *planned(overlay, targets=[VERDICTS])))
    found = pd.DataFrame(rows, columns=["name", "jobs", "seconds", "mib"])
    print(found.to_string(index=False, float_format="{:.1f}".format))
    if arguments.csv:
        found.to_csv(arguments.csv, index=False, float_format="%.2f")
        names = ["planning"] * len(SCANS) + ["planning verdicts"] * len(SCANS)
        curve = found.iloc[1:].assign(name=names, against="scans", value=SCANS * 2)
        curve = curve[["name", "against", "value", "seconds", "mib"]]
        curve.to_csv(arguments.csv.with_name("dag_scaling.csv"), index=False, float_format="%.3f")


if __name__ == "__main__":
    main()
