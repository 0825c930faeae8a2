"""The artefact uncertainty beside other uncertainty methods on the same scans: how well each ranks them, and what each costs.

Usage, after a run whose baselines were timed on the same machine, here the demo's:

    snakemake --cores 2 --configfile config/demo.yaml config/baselines.yaml -- \\
        results/demo/baselines/{coupled,tta,mc-dropout,ensemble}/{clean,sim-{spike,noise,blur,wrap,motion}}.csv
    python benchmarks/baselines.py results/demo config/demo.yaml

Writes ``benchmarks/baselines.csv``: a row per score of our student and of each baseline with Spearman's rho with the Dice of the
student's segmentations on the simulated scans, by how much |rho| of ours is higher (both with 95 % subject-bootstrap intervals),
the mean rho within one artefact, AURC (lower is better) and AUROC of Dice below the target; the networks that are trained for it,
those it starts from included, and their processor hours; and looks and processor seconds per scan.
"""

import argparse
from pathlib import Path

import pandas as pd
import yaml
from snakemake.utils import update_config

from decoupled_qc.analysis.correlation import correlate
from decoupled_qc.analysis.difference import difference
from decoupled_qc.analysis.risk_coverage import risk_coverage
from decoupled_qc.analysis.scores import read_scores, read_subjects
from decoupled_qc.training.pieces import share_of_last_piece

ROOT = Path(__file__).parents[1]
OUT = ROOT / "benchmarks/baselines.csv"
STUDENT = {"model": "student", "replicates": [0], "draws": 1}
OF_STUDENT = {
    ("artefact_uncertainty", "mean"): "ours",
    ("variance_task", "mean"): "task variance",
    ("entropy", "mean"): "softmax entropy",
}
QUALITY = ("dice", "gm")
KEY = ["score", "aggregation"]


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("overlay", type=Path)
    parser.add_argument("--csv", type=Path, default=OUT)
    arguments = parser.parse_args()
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    update_config(config, yaml.safe_load(arguments.overlay.read_text()))
    conditions = ["clean", *(f"sim-{name}" for name in config["use_artefacts"])]
    run, baselines = arguments.run, config["baselines"]
    table = ranked(run, [name for name in baselines if (run / "baselines" / name).is_dir()], conditions, config)
    methods = dict.fromkeys(OF_STUDENT.values(), STUDENT) | baselines
    costs = {name: cost(run, name, methods[name], conditions) for name in table["method"].unique()}
    table = table.join(pd.DataFrame(costs).T.astype({"networks": int, "looks": int}), on="method")
    table.to_csv(arguments.csv, index=False, float_format="%.3f")
    print(table.to_string(index=False))


def ranked(run: Path, baselines: list[str], conditions: list[str], config: dict) -> pd.DataFrame:
    """Return a row per score of the student and of every baseline, the strongest first."""
    folders = [run / "scores/student/rep-0", *(run / f"baselines/{name}" for name in baselines)]
    scores = pd.concat([read_scores(folder / f"{name}.csv") for folder in folders for name in conditions])
    own = pd.MultiIndex.from_frame(scores[["metric", "aggregation"]]).isin([*OF_STUDENT, QUALITY])
    scores = scores[own | scores["aggregation"].isin(baselines)]
    subjects = read_subjects(run / "cohort/manifest.tsv")
    draws = {"n_boot": config["analysis"]["n_boot"], "seed": config["seed"]}
    cut = config["analysis"]["target_dice"]
    correlations = correlate(scores, subjects, n_permutations=999, **draws).set_index([*KEY, "set"])
    ahead = difference(scores, subjects, **draws).query("set == 'simulated'")
    ahead = ahead.set_index(["baseline", "baseline_aggregation"])[["difference", "ci_low", "ci_high"]]
    risk = risk_coverage(scores, subjects, dice_cuts=[cut], **draws).set_index([*KEY, "measure"])["value"]
    rows = []
    for key in correlations.xs("simulated", level="set").index:
        one = correlations.loc[(*key, "simulated")]
        row = {"method": OF_STUDENT.get(key, key[1]), "score": key[0], "rho": one["rho"]}
        row |= {"rho_low": one["ci_low"], "rho_high": one["ci_high"]}
        if key in ahead.index:
            row |= dict(zip(["ahead", "ahead_low", "ahead_high"], ahead.loc[key], strict=True))
        row["rho_within_artefact"] = correlations.loc[(*key, "simulated_within_artefact"), "rho"]
        row |= {"aurc": risk[(*key, "aurc")], "auroc": risk[(*key, "auroc")]}
        rows.append(row | {"n_scans": one["n_scans"], "n_subjects": one["n_subjects"]})
    return pd.DataFrame(rows).sort_values("rho", key=lambda rho: -rho.abs(), kind="stable")


def cost(run: Path, method: str, settings: dict, conditions: list[str]) -> dict[str, float]:
    """Return what the trainings and the looks of a method took."""
    model, numbers = settings["model"], settings["replicates"]
    artefacts = [name.removeprefix("sim-") for name in conditions if model == "student" and name != "clean"]
    networks = ["task", *(f"teacher-{name}" for name in artefacts), model]
    trained = [f"models/{name}/rep-{number}" for number in numbers for name in networks]
    looked = "predictions/student/rep-0" if settings is STUDENT else f"baselines/{method}"
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
