"""What a run cost, from Snakemake's benchmark files and the logs of trainings in pieces."""

from fnmatch import fnmatch
from pathlib import Path

import pandas as pd

from decoupled_qc.training.pieces import gpus, share_of_last_piece

# Outputs of jobs that ask for one GPU if there is any.
ON_GPU = ("predictions/*", "baselines/*", "model", "apply/batch-*")
BY_NAME = ("models", "baselines")  # a line for each network and each baseline, one for all teachers


def cost_table(folder: Path, logs: Path, gpus_per_job: int) -> pd.DataFrame:
    """Return one row per stage, in order of cost, and their total, of all jobs that have ended by now.

    Args:
        folder: ``benchmarks`` of a run; its files mirror the outputs' paths. A job that was tried several times counts
            with its last attempt, a training in pieces with all of them, at the last one's speed.
        logs: ``logs`` of the run, which mirror them too.
        gpus_per_job: That a training asks for, unless its log says how many it had; a prediction asks for one of them.

    Returns:
        ``stage`` (first folder of the outputs; networks of a kind together), ``jobs``, ``hours`` (wall clock, one job after the
        other), ``cpu_hours``, ``gpu_hours`` (wall clock times GPUs asked for), ``peak_memory_gib`` (largest resident set of
        a single job); no row where there is no file.
    """
    outputs = [file.relative_to(folder).with_suffix("") for file in sorted(folder.rglob("*.tsv"))]
    rows = [
        {"stage": _stage(output), "gpus": _gpus(output, logs, gpus_per_job), **job_cost(folder, logs, output)}
        for output in outputs
    ]
    if not rows:
        return pd.DataFrame(columns=["stage", "jobs", "hours", "cpu_hours", "gpu_hours", "peak_memory_gib"])
    jobs = pd.DataFrame(rows)
    jobs["gpu_hours"] = jobs["hours"] * jobs["gpus"]
    sums = {name: (name, "sum") for name in ("hours", "cpu_hours", "gpu_hours")}
    how = {"jobs": ("hours", "size"), **sums, "peak_memory_gib": ("peak_memory_gib", "max")}
    table = jobs.groupby("stage", as_index=False).agg(**how).sort_values("hours", ascending=False)
    total = {"stage": "total", **table[["jobs", *sums]].sum(), "peak_memory_gib": table["peak_memory_gib"].max()}
    return pd.concat([table, pd.DataFrame([total])], ignore_index=True).astype({"jobs": int})


def job_cost(folder: Path, logs: Path, output: str | Path) -> dict[str, float]:
    """Return ``hours``, ``cpu_hours`` and ``peak_memory_gib`` of one job; what was too short to be measured is 0.

    Args:
        folder, logs: As for :func:`cost_table`.
        output: The job's, relative to the run's folder and without suffix, such as ``models/task/rep-0``.
    """
    measured = pd.read_csv(folder / f"{output}.tsv", sep="\t").iloc[-1]
    share = share_of_last_piece(_log(logs, output))
    numbers = pd.to_numeric(measured[["s", "cpu_time", "max_rss"]], errors="coerce").fillna(0.0)
    return {
        "hours": numbers["s"] / 3600 / share,
        "cpu_hours": numbers["cpu_time"] / 3600 / share,
        "peak_memory_gib": numbers["max_rss"] / 1024,
    }


def _log(logs: Path, output: str | Path) -> str:
    """Return the text of a job's log, empty where there is none."""
    log = logs / f"{output}.log"
    return log.read_text(errors="replace") if log.is_file() else ""


def _gpus(output: Path, logs: Path, gpus_per_job: int) -> int:
    if output.parts[0] == "models":
        return gpus(_log(logs, output)) or gpus_per_job
    return min(1, gpus_per_job) if any(fnmatch(output.as_posix(), pattern) for pattern in ON_GPU) else 0


def _stage(output: Path) -> str:
    stage, *inner = output.parts
    if stage not in BY_NAME:
        return stage
    return f"{stage}: {'teacher' if inner[0].startswith('teacher-') else inner[0]}"
