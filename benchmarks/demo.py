"""What the demo costs, stage by stage, and how long it takes from beginning to end.

    make demo && python benchmarks/run.py demo

Reads what Snakemake noted of a demo that was made in one go, each job's time and memory and the elapsed time of the whole;
nothing is run. ``--project FOLDER`` reads a demo of another clone.
"""

import argparse
import re
import sys
from pathlib import Path

import pandas as pd

from decoupled_qc.costs import cost_table

ROOT = Path(__file__).parents[1]
RUN = "results/demo"


def elapsed_s(project: Path, jobs: int) -> float:
    """Return the seconds of the last run of Snakemake that made at least so many jobs, by its log.

    Raises:
        SystemExit: No run did: the demo was made piece by piece, or not here.
    """
    for log in sorted(project.glob(".snakemake/log/*.snakemake.log"), reverse=True):
        text = log.read_text()
        steps, time = re.findall(r"(\d+) of \1 steps", text), re.findall(r"Elapsed time: (.+)", text)
        if steps and time and int(steps[-1]) >= jobs:
            return pd.to_timedelta(time[-1].replace(",", "")).total_seconds()
    sys.exit(f"No log in {project}/.snakemake/log is of a run that made all {jobs} jobs: empty {RUN}, `make demo`.")


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--project", type=Path, default=ROOT)
    arguments = parser.parse_args()
    table = cost_table(arguments.project / RUN / "benchmarks", arguments.project / RUN / "logs", gpus_per_job=0)
    if table.empty:
        sys.exit(f"{arguments.project / RUN}/benchmarks holds nothing: `make demo` first.")
    rows = table.assign(seconds=3600 * table["hours"], cpu_seconds=3600 * table["cpu_hours"]).rename(
        columns={"stage": "what", "peak_memory_gib": "peak_gib"}
    )[["what", "jobs", "seconds", "cpu_seconds", "peak_gib"]]
    whole = rows.iloc[[-1]].assign(what="make demo")
    whole["seconds"] = elapsed_s(arguments.project, int(whole["jobs"].iloc[0]))
    rows["what"] = rows["what"].replace("total", "all jobs one after the other")
    pd.concat([rows, whole]).round({"seconds": 0, "cpu_seconds": 0, "peak_gib": 2}).to_csv(arguments.csv, index=False)


if __name__ == "__main__":
    main()
