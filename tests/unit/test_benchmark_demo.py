"""The cost of a demo is read from what Snakemake noted of it, and only of one that was made in one go."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "demo.py"


@pytest.fixture
def project(tmp_path):
    """Two jobs of 60 and 30 s, side by side in 65."""
    for name, seconds in (("models/task/rep-0", 60.0), ("conditions/clean", 30.0)):
        file = tmp_path / f"results/demo/benchmarks/{name}.tsv"
        file.parent.mkdir(parents=True)
        file.write_text(f"s\tmax_rss\tcpu_time\n{seconds}\t1024.0\t{2 * seconds}\n")
    logs = tmp_path / ".snakemake/log"
    logs.mkdir(parents=True)
    (logs / "2026-01-01.snakemake.log").write_text("3 of 3 steps (100%) done\nElapsed time: 0:01:05.4\n")
    (logs / "2026-01-02.snakemake.log").write_text("1 of 1 steps (100%) done\nElapsed time: 0:00:02.1\n")
    return tmp_path


def cost_of(project):
    return subprocess.run(
        [sys.executable, SCRIPT, "--csv", project / "demo.csv", "--project", project], capture_output=True, text=True
    )


def test_stages_their_sum_and_the_time_of_the_run_that_made_all_of_them(project):
    assert cost_of(project).returncode == 0
    table = pd.read_csv(project / "demo.csv", index_col="what")
    assert table.loc["models: task", "cpu_seconds"] == 120
    assert table.loc["all jobs one after the other", ["jobs", "seconds", "cpu_seconds"]].tolist() == [2, 90, 180]
    assert table.loc["make demo", ["seconds", "peak_gib"]].tolist() == [65, 1]


def test_a_demo_that_was_made_piece_by_piece_has_no_time(project):
    (project / ".snakemake/log/2026-01-01.snakemake.log").unlink()
    refused = cost_of(project)
    assert refused.returncode and "no log" in refused.stderr.lower() and "make demo" in refused.stderr
    assert not (project / "demo.csv").exists()
