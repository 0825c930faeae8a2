"""What the baselines' table says of a run: each method's scores, and the networks and looks that it rests on."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
TRAINING_S, LOOKING_S = 3600, 30
LOOKED = [
    f"{where}/{name}"
    for where in ("predictions/student/rep-0", "baselines/ensemble")
    for name in ("clean", "sim-noise", "sim-blur")
]
NETWORKS = ("task/rep-0", "teacher-noise/rep-0", "teacher-blur/rep-0", "student/rep-0", "coupled/rep-0")


@pytest.fixture
def run(tmp_path):
    """Of a run with two teachers and an ensemble of two coupled networks: an hour a training, 30 s a condition of three scans."""
    run = tmp_path / "results/own"
    trained = [f"models/{name}" for name in (*NETWORKS, "task/rep-1", "coupled/rep-1")]
    for name in (*trained, *LOOKED):
        file = run / f"benchmarks/{name}.tsv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"s\tcpu_time\n1.0\t{TRAINING_S if name in trained else LOOKING_S}\n")
    for condition in ("clean", "sim-noise", "sim-blur"):
        scans = run / f"conditions/{condition}/scans.tsv"
        scans.parent.mkdir(parents=True)
        scans.write_text("scan\na\nb\nc\n")
    (run / "analysis").mkdir()
    scores = [("artefact_uncertainty", "mean", -0.8), ("pairwise_dice", "ensemble", 0.7), ("cnr", "predicted", 0.6)]
    ranked = pd.DataFrame(scores, columns=["score", "aggregation", "rho"])
    ranked = ranked.assign(
        model="student", set="simulated", target="dice", ci_low=-1.0, ci_high=1.0, rho_within_artefact=-0.5, aurc=0.2,
        auroc=0.9, n_scans=6, n_subjects=3,
    )  # fmt: skip
    pd.concat([ranked, ranked.assign(model="gated", rho=0.0)]).to_csv(run / "analysis/leaderboard.csv", index=False)
    ahead = ranked[1:].rename(columns={"score": "baseline", "aggregation": "baseline_aggregation"})
    ahead.assign(difference=0.1).to_csv(run / "analysis/difference.csv", index=False)
    (tmp_path / "own.yaml").write_text("use_artefacts: [noise, blur]\nbaselines: {ensemble: {replicates: [0, 1]}}\n")
    return run


def table_of(run):
    project = run.parents[1]
    paths = run, project / "own.yaml", "--csv", project / "own.csv"
    subprocess.run([sys.executable, ROOT / "benchmarks/baselines.py", *paths], check=True, capture_output=True)
    return pd.read_csv(project / "own.csv", index_col="method")


def test_only_uncertainties_of_the_student_and_the_baselines_are_compared(run):
    table = table_of(run)
    assert table["score"].to_dict() == {"ours": "artefact_uncertainty", "ensemble": "pairwise_dice"}
    assert table["rho"].tolist() == [-0.8, 0.7]
    assert table.loc["ensemble", "ahead"] == 0.1 and pd.isna(table.loc["ours", "ahead"])


def test_a_method_costs_every_network_that_it_starts_from(run):
    table = table_of(run)
    assert table["networks"].to_dict() == {"ours": 4, "ensemble": 4}
    assert table["training_cpu_hours"].to_dict() == {"ours": 4.0, "ensemble": 4.0}
    assert table["looks"].to_dict() == {"ours": 1, "ensemble": 2}


def test_seconds_are_of_the_simulated_scans(run):
    assert table_of(run)["cpu_s_per_scan"].tolist() == [LOOKING_S / 3, LOOKING_S / 3]


def test_a_training_in_two_halves_costs_both(run):
    (run / "logs/models/coupled").mkdir(parents=True)
    (run / "logs/models/coupled/rep-1.log").write_text("Resuming at step 50 of 100.\nstep 99/100  left 0.0 min\n")
    assert table_of(run).loc["ensemble", "training_cpu_hours"] == 5.0
