"""The artefact uncertainty beside other uncertainty methods on the same scans: how well each ranks them, and what each costs.

Usage, after a run whose baselines were timed on the same machine, here the demo's:

    snakemake --cores 2 --configfile config/demo.yaml config/baselines.yaml --rerun-triggers mtime -- \\
        results/demo/baselines/{coupled,tta,mc-dropout,ensemble}/{clean,sim-{spike,noise,blur,wrap,motion},real}.csv
    python benchmarks/baselines.py results/demo config/demo.yaml

Writes ``benchmarks/baselines.csv``: a row per set and score of our student and of each baseline with Spearman's rho, with
the Dice of the student's segmentations on simulated scans, with the rating on the real or stand-in ones (set ``real``); by
how much stronger rho of ours is (both with 95 % subject-bootstrap intervals); the mean rho within one artefact, AURC (lower
is better) and AUROC of Dice below the target; the networks that are trained for it, those it starts from included, and their
processor hours; and looks and processor seconds per scan. And into ``benchmarks/baselines``: the leaderboard of all scores
of the run, baselines among them, as table and figure, and every difference with its p, as a run's ``analysis`` has them.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from snakemake.utils import update_config

from decoupled_qc.analysis.correlation import correlate
from decoupled_qc.analysis.difference import difference
from decoupled_qc.analysis.leaderboard import leaderboard
from decoupled_qc.analysis.rank_ranges import rank_ranges
from decoupled_qc.analysis.replicates import replicates
from decoupled_qc.analysis.risk_coverage import risk_coverage
from decoupled_qc.analysis.scores import is_stand_in, one_row_a_scan, read_scores, read_subjects
from decoupled_qc.costs import job_cost
from decoupled_qc.figures import style
from decoupled_qc.figures.leaderboard import leaderboard as draw

ROOT = Path(__file__).parents[1]
OUT = ROOT / "benchmarks/baselines.csv"
STUDENT = {"model": "student", "replicates": [0], "draws": 1}
OF_STUDENT = {
    ("artefact_uncertainty", "mean"): "ours",
    ("artefact_uncertainty", "per_gm"): "ours",
    ("expected_dice", "all_variances"): "ours",
    ("variance_task", "mean"): "task variance",
    ("entropy", "mean"): "softmax entropy",
}
REAL = "real"  # condition of the real scans, or of the stand-ins
KEY = ["set", "score", "aggregation"]
AHEAD = {"difference": "ahead", "ci_low": "ahead_low", "ci_high": "ahead_high"}
COLUMNS = ["set", "method", "score", "aggregation", "rho", "ci_low", "ci_high", *AHEAD.values()]
COLUMNS += ["rho_within_artefact", "aurc", "auroc", "n_scans", "n_subjects"]


def main() -> None:
    """Write the table and the leaderboard."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("overlay", type=Path)
    parser.add_argument(
        "--csv", type=Path, default=OUT, help="the leaderboard goes into a folder of that name beside it"
    )
    arguments = parser.parse_args()
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    update_config(config, yaml.safe_load(arguments.overlay.read_text()))
    conditions = ["clean", *(f"sim-{name}" for name in config["use_artefacts"])]
    run, baselines = arguments.run, config["baselines"]
    known = [name for name in baselines if (run / "baselines" / name).is_dir()]
    measured = read_measured(run, known, [*conditions, REAL]), read_subjects(run / "cohort/manifest.tsv")
    board = ranked(*measured, config)
    ahead = difference(*measured, n_boot=config["analysis"]["n_boot"], seed=config["seed"])
    table = beside_ours(board, ahead, known)
    methods = dict.fromkeys(OF_STUDENT.values(), STUDENT) | baselines
    costs = {name: cost(run, name, methods[name], conditions) for name in table["method"].unique()}
    table = table.join(pd.DataFrame(costs).T.astype({"networks": int, "looks": int}), on="method")
    table.to_csv(arguments.csv, index=False, float_format="%.3f")
    print(table.to_string(index=False))
    folder = arguments.csv.with_suffix("")
    folder.mkdir(exist_ok=True)
    board.to_csv(folder / "leaderboard.csv", index=False, float_format="%.4f")
    ahead.to_csv(folder / "difference.csv", index=False, float_format="%.4f")
    files = {name: folder / f"figure_leaderboard.{name}" for name in ("pdf", "png", "csv")}
    drawing = draw(board, stand_in=is_stand_in(one_row_a_scan(*measured)))
    style.save(drawing, **files, caption=folder / "figure_leaderboard.txt")


def read_measured(run: Path, baselines: list[str], conditions: list[str]) -> pd.DataFrame:
    """Return all scores of the student's scans and those of the baselines, of some conditions."""
    folders = [run / "baselines" / name for name in baselines]
    files = [folder / f"{name}.csv" for folder in folders for name in conditions]
    scores = pd.concat([read_scores(file) for file in [run / "scores.csv", *files] if file.exists()])
    return scores[scores["condition"].isin(conditions)]


def ranked(scores: pd.DataFrame, subjects: pd.DataFrame, config: dict) -> pd.DataFrame:
    """Return the leaderboard of all scores: simulated scans by Dice, real ones by their rating."""
    draws = {"n_boot": config["analysis"]["n_boot"], "seed": config["seed"]}
    cut = config["analysis"]["target_dice"]
    tables = (
        correlate(scores, subjects, n_permutations=999, **draws),
        risk_coverage(scores, subjects, dice_cuts=[cut], **draws),
        replicates(scores, subjects),
        rank_ranges(scores, subjects, **draws),
    )
    return leaderboard(*tables, dice_cut=cut)


def beside_ours(board: pd.DataFrame, ahead: pd.DataFrame, baselines: list[str]) -> pd.DataFrame:
    """Return a row per set and score of the student or of a baseline, the strongest first, and how much stronger ours is."""
    own = np.array(
        [key in OF_STUDENT or key[1] in baselines for key in board[KEY[1:]].itertuples(index=False, name=None)]
    )
    board = board[own & (board["n_scans"] > 0)]
    ahead = ahead[["set", "target", "baseline", "baseline_aggregation", *AHEAD]]
    board = board.merge(ahead.set_axis(["set", "target", *KEY[1:], *AHEAD.values()], axis=1), how="left")
    keys = board[KEY[1:]].itertuples(index=False, name=None)
    board.insert(0, "method", [OF_STUDENT.get(key, key[1]) for key in keys])
    return board[COLUMNS]


def cost(run: Path, method: str, settings: dict, conditions: list[str]) -> dict[str, float]:
    """Return what the trainings and the looks of a method took."""
    model, numbers = settings["model"], settings["replicates"]
    artefacts = [name.removeprefix("sim-") for name in conditions if model == "student" and name != "clean"]
    networks = ["task", *(f"teacher-{name}" for name in artefacts), model]
    trained = [f"models/{name}/rep-{number}" for number in numbers for name in networks]
    looked = "predictions/student/rep-0" if settings is STUDENT else f"baselines/{method}"
    scans = sum(len(pd.read_csv(run / f"conditions/{name}/scans.tsv", sep="\t")) for name in conditions)

    def cpu_hours(outputs: Iterable[str]) -> float:
        return sum(job_cost(run / "benchmarks", run / "logs", output)["cpu_hours"] for output in outputs)

    return {
        "networks": len(trained),
        "training_cpu_hours": cpu_hours(trained),
        "looks": settings["draws"] * len(numbers),
        "cpu_s_per_scan": 3600 * cpu_hours(f"{looked}/{name}" for name in conditions) / scans,
    }


if __name__ == "__main__":
    main()
