"""The artefact uncertainty beside other uncertainty methods on the same scans: how well each ranks them, and what each costs.

Usage, after a run with the baselines whose jobs were timed on one machine, here the demo's:

    snakemake --cores 2 --configfile config/demo.yaml config/baselines.yaml
    python benchmarks/baselines.py results/demo config/demo.yaml

Writes ``benchmarks/baselines.csv``: a row per score of our student and of each baseline with Spearman's rho with the Dice of the
student's segmentations on the simulated scans, by how much |rho| of ours is higher (both with 95 % subject-bootstrap intervals),
the mean rho within one artefact, AURC (lower is better) and AUROC of Dice below the first cut; the networks that are trained for
it, those it starts from included, and their processor hours; and looks and processor seconds per scan.
"""

import argparse
from pathlib import Path

import pandas as pd
import yaml
from snakemake.utils import update_config

from decoupled_qc.training.pieces import share_of_last_piece

ROOT = Path(__file__).parents[1]
OUT = ROOT / "benchmarks/baselines.csv"
OURS = ("artefact_uncertainty", "mean")
OF_STUDENT = {OURS: "ours", ("variance_task", "mean"): "task variance", ("entropy", "mean"): "softmax entropy"}


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("overlay", type=Path)
    parser.add_argument("--csv", type=Path, default=OUT)
    arguments = parser.parse_args()
    table = compared(arguments.run, arguments.overlay)
    table.to_csv(arguments.csv, index=False, float_format="%.3f")
    print(table.to_string(index=False))


def compared(run: Path, overlay: Path) -> pd.DataFrame:
    """Return a row per score of the student and of every baseline that the configuration has."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    update_config(config, yaml.safe_load(overlay.read_text()))
    student = {"model": "student", "replicates": [0], "draws": 1}
    methods = {name: student for name in OF_STUDENT.values()} | config["baselines"]
    ranked = simulated(run / "analysis/leaderboard.csv").query("model == 'student'")
    ahead = simulated(run / "analysis/difference.csv").set_index(["baseline", "baseline_aggregation"])
    rows = []
    for score in ranked.itertuples():
        key = score.score, score.aggregation
        method = OF_STUDENT.get(key, score.aggregation)
        if method not in methods:
            continue
        row = {"method": method, "score": score.score, "rho": score.rho, "low": score.ci_low, "high": score.ci_high}
        if key != OURS:
            row |= ahead.loc[key, ["difference", "ci_low", "ci_high"]].set_axis(["ahead", "ahead_low", "ahead_high"])
        rows.append(
            row
            | {
                "rho_within_artefact": score.rho_within_artefact,
                "aurc": score.aurc,
                "auroc": score.auroc,
                "n_scans": score.n_scans,
                "n_subjects": score.n_subjects,
                **costs(run, method, methods[method], config["use_artefacts"]),
            }
        )
    return pd.DataFrame(rows)


def simulated(path: Path) -> pd.DataFrame:
    """Return the rows of a table of the analysis that are about Dice on all simulated scans."""
    return pd.read_csv(path).query("set == 'simulated' and target == 'dice'")


def costs(run: Path, method: str, settings: dict, use_artefacts: list[str]) -> dict[str, float]:
    """Return what the trainings and the looks of a method took."""
    model, numbers = settings["model"], settings["replicates"]
    learnt_from = ["task", *(f"teacher-{name}" for name in use_artefacts if model == "student")]
    trained = [f"models/{name}/rep-{number}" for number in numbers for name in (*learnt_from, model)]
    looked = "predictions/student/rep-0" if method in OF_STUDENT.values() else f"baselines/{method}"
    conditions = ["clean", *(f"sim-{name}" for name in use_artefacts)]
    scans = sum(len(pd.read_csv(run / f"conditions/{name}/scans.tsv", sep="\t")) for name in conditions)
    return {
        "networks": len(trained),
        "training_cpu_hours": sum(cpu_s(run, network) for network in trained) / 3600,
        "looks": settings["draws"] * len(numbers),
        "cpu_s_per_scan": sum(cpu_s(run, f"{looked}/{name}") for name in conditions) / scans,
    }


def cpu_s(run: Path, output: str) -> float:
    """Return the processor seconds of a job by Snakemake's benchmark file, those of a training in pieces by all of them."""
    log = run / f"logs/{output}.log"
    share = share_of_last_piece(log.read_text()) if log.is_file() else 1.0
    return pd.read_csv(run / f"benchmarks/{output}.tsv", sep="\t")["cpu_time"].iloc[-1] / share


if __name__ == "__main__":
    main()
