"""What other seeds change: trainings of a whole run, from the task network to the student, that differ in their seed alone.

Usage, here of the demo's, three of them (an hour on two cores):

    snakemake --cores 2 --configfile config/demo.yaml --config replicates=3 -- results/demo/analysis/replicates.csv
    python benchmarks/seeds.py results/demo

Writes ``benchmarks/seeds.csv``: a row per number with its value in each training, their mean and standard deviation (n - 1).
All look at the same scans, so the spread is that of trainings; what other subjects would change is in a run's intervals.
"""

import argparse
from pathlib import Path

import pandas as pd

from decoupled_qc.analysis.decoupling import decoupling
from decoupled_qc.analysis.replicates import replicates
from decoupled_qc.analysis.scores import read_scores, read_subjects
from decoupled_qc.causes import NO_ARTEFACT
from decoupled_qc.paper.typeset import score_label

OUT = Path(__file__).parent / "seeds.csv"
SCORES = [
    ("artefact_uncertainty", "mean"),
    ("artefact_uncertainty", "per_gm"),
    ("expected_dice", "all_variances"),
    ("entropy", "mean"),
    ("snr", "predicted"),
    ("cnr", "predicted"),
    ("snr", "reference"),
    ("cnr", "reference"),
]
SETS = {("simulated", "dice"): "simulated scans, Dice", ("real", "rating"): "real or stand-in scans, rating"}
OF_HEADS = {"decoupling_index": "decoupling index", "attribution_accuracy": "attribution"}


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    arguments = parser.parse_args()
    files = sorted((arguments.run / "scores/student").glob("rep-*/*.csv"))
    scores = pd.concat([read_scores(file) for file in files])
    table = spread_of_seeds(scores, read_subjects(arguments.run / "cohort/manifest.tsv"))
    table.to_csv(OUT, index=False, float_format="%.4f")
    print(table.to_string(index=False))


def spread_of_seeds(scores: pd.DataFrame, subjects: pd.DataFrame) -> pd.DataFrame:
    """Return a row per number: its value in each training, their mean and standard deviation."""
    each = {}
    for number, own in scores.groupby("replicate"):
        found = replicates(own, subjects).set_index(["set", "target", "score", "aggregation"])["rho_mean"]
        values = {
            f"rho, {of}: {score_label(*key)}": found[*where, *key]
            for where, of in SETS.items()
            for key in SCORES
            if (*where, *key) in found.index
        }
        simulated = own[own["condition"].eq("clean") | own["condition"].str.startswith("sim-")]
        heads = decoupling(simulated, subjects, n_boot=1, seed=0).set_index(["set", "quantity", "artefact"])["value"]
        values |= {title: heads["simulated", name, "all"] for name, title in OF_HEADS.items()}
        dice = simulated[simulated["metric"].eq("dice") & simulated["aggregation"].eq("gm")]
        for artefact, value in dice.groupby("artefact")["value"].mean().items():
            values[f"mean Dice, {'clean' if artefact == NO_ARTEFACT else artefact}"] = value
        each[f"seed {number}"] = values
    table = pd.DataFrame(each)
    spread = {"mean": table.mean(axis=1), "sd": table.std(axis=1)}
    return table.assign(**spread).rename_axis("name").reset_index()


if __name__ == "__main__":
    main()
