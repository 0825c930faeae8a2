"""What the baselines' table says of a run: how each method ranks its scans, and the networks and looks that it rests on."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from decoupled_qc.analysis.scores import COLUMNS

SCRIPT = Path(__file__).parents[2] / "benchmarks/baselines.py"
TRAINING_S, LOOKING_S, N_SUBJECTS = 3600, 30, 6
CONDITIONS = {"clean": "none", "sim-noise": "noise", "sim-blur": "blur"}
NETWORKS = ("task/rep-0", "teacher-noise/rep-0", "teacher-blur/rep-0", "student/rep-0", "coupled/rep-0")
HEADER = "s\tcpu_time\tmax_rss\n"
CONFIG = "use_artefacts: [noise, blur]\nbaselines: {ensemble: {replicates: [0, 1]}}\n"


def write(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def write_scores(run):
    """Ours ranks the scans as Dice does; the ensemble ranks them so but for one subject's, whose order is reversed."""
    ours = []
    for place, (condition, artefact) in enumerate(CONDITIONS.items()):
        theirs = []
        for subject in range(N_SUBJECTS):
            dice = 0.9 - 0.2 * place - 0.01 * subject
            own = (f"sub-{subject}", f"sub-{subject}_{condition}", "student", 0, condition, artefact, 0.5)
            ours += [
                (*own, "dice", "gm", dice),
                (*own, "artefact_uncertainty", "mean", 1 - dice),
                (*own, "cnr", "reference", dice),
            ]
            theirs += [
                (*own, "dice", "ensemble", 0.1),
                (*own, "pairwise_dice", "ensemble", dice if subject else 1 - dice),
            ]
        write(run / f"baselines/ensemble/{condition}.csv", pd.DataFrame(theirs, columns=COLUMNS).to_csv(index=False))
        write(run / f"conditions/{condition}/scans.tsv", "scan\n" + "a\n" * N_SUBJECTS)
    write(run / "scores.csv", pd.DataFrame(ours, columns=COLUMNS).to_csv(index=False))


@pytest.fixture
def run(tmp_path):
    """Two teachers and an ensemble of two coupled networks: an hour a training, 30 s a condition."""
    run = tmp_path / "results/own"
    write_scores(run)
    manifest = "".join(f"sub-{subject}\ts1\ttest\n" for subject in range(N_SUBJECTS))
    write(run / "cohort/manifest.tsv", "subject\tanatomy\trole\n" + manifest)
    looked = [f"{where}/{name}" for where in ("predictions/student/rep-0", "baselines/ensemble") for name in CONDITIONS]
    for name in looked:
        write(run / f"benchmarks/{name}.tsv", HEADER + f"1.0\t{LOOKING_S}\t0\n")
    for name in (*NETWORKS, "task/rep-1", "coupled/rep-1"):
        write(run / f"benchmarks/models/{name}.tsv", HEADER + f"1.0\t{TRAINING_S}\t0\n")
    return run


def table_of(run):
    project = run.parents[1]
    write(project / "own.yaml", CONFIG)
    paths = run, project / "own.yaml", "--csv", project / "own.csv"
    subprocess.run([sys.executable, SCRIPT, *paths], check=True, capture_output=True)
    return pd.read_csv(project / "own.csv", index_col="method")


def test_only_the_uncertainties_are_compared_and_by_the_dice_of_the_student(run):
    table = table_of(run)
    assert table["score"].to_dict() == {"ours": "artefact_uncertainty", "ensemble": "pairwise_dice"}
    assert table.loc["ours", "rho"] == -1 and 0 < table.loc["ensemble", "rho"] < 1
    assert table.loc["ensemble", "ahead"] == pytest.approx(1 - table.loc["ensemble", "rho"], abs=0.002)
    assert pd.isna(table.loc["ours", "ahead"])
    assert table["n_scans"].tolist() == [18, 18] and table["n_subjects"].tolist() == [6, 6]


def test_the_leaderboard_that_is_drawn_holds_all_scores_of_the_run(run):
    table_of(run)
    folder = run.parents[1] / "own"
    drawn = pd.read_csv(folder / "figure_leaderboard.csv").set_index(["score", "aggregation"])["rank"].to_dict()
    assert drawn.pop(("pairwise_dice", "ensemble")) == 3
    assert set(drawn) == {("artefact_uncertainty", "mean"), ("cnr", "reference")} and set(drawn.values()) <= {1, 2}
    assert (folder / "figure_leaderboard.png").stat().st_size


def test_a_method_costs_every_network_that_it_starts_from_and_a_look_by_each(run):
    table = table_of(run)
    assert table["networks"].to_dict() == {"ours": 4, "ensemble": 4}
    assert table["training_cpu_hours"].to_dict() == {"ours": 4.0, "ensemble": 4.0}
    assert table["looks"].to_dict() == {"ours": 1, "ensemble": 2}
    assert table["cpu_s_per_scan"].tolist() == [LOOKING_S / N_SUBJECTS] * 2
