"""The student of task network and teachers beside variants that train fewer networks: what they find and what they cost.

Usage, after a run whose networks were timed on one machine, here the demo's:

    snakemake --cores 2 --configfile config/demo.yaml -- \\
        results/demo/scores/gated/rep-0/{clean,sim-spike,sim-noise,sim-blur,sim-wrap,sim-motion}.csv
    python benchmarks/variants.py results/demo gated

Writes ``benchmarks/variants.csv``: a row per network with Spearman's rho of Dice with the artefact uncertainty, decoupling index
and attribution accuracy (both with 95 % subject-bootstrap intervals; higher is better), mean Dice of clean scans, and wall
and processor hours of all trainings that it needs. Only scans that every network scored count.
"""

import sys
from pathlib import Path

import pandas as pd

from decoupled_qc.analysis.correlation import correlate
from decoupled_qc.analysis.decoupling import decoupling
from decoupled_qc.analysis.scores import read_scores, read_subjects
from decoupled_qc.costs import job_cost

OUT = Path(__file__).parent / "variants.csv"
DRAWS = {"n_boot": 5000, "seed": 20210901}


def main(run: Path, *variants: str) -> None:
    subjects = read_subjects(run / "cohort/manifest.tsv")
    rows = []
    for model in ("student", *variants):
        files = sorted((run / f"scores/{variants[0]}/rep-0").glob("*.csv"))
        scores = pd.concat([read_scores(run / f"scores/{model}/rep-0" / file.name) for file in files])
        rows.append({"network": model, **found(scores, subjects), **costs(run, model)})
    table = pd.DataFrame(rows)
    table.to_csv(OUT, index=False, float_format="%.3f")
    print(table.T.to_string(header=False))


def found(scores: pd.DataFrame, subjects: pd.DataFrame) -> dict[str, float]:
    """Return a network's statistics on the simulated scans."""
    ranked = correlate(scores, subjects, n_permutations=999, **DRAWS)
    ours = ranked[
        (ranked.set == "simulated") & (ranked.score == "artefact_uncertainty") & (ranked.aggregation == "mean")
    ]
    told = decoupling(scores, subjects, **DRAWS).query("set == 'simulated'").set_index("quantity")
    clean = scores[(scores.condition == "clean") & (scores.metric == "dice") & (scores.aggregation == "gm")]
    numbers = {"n_scans": ours.n_scans.item(), "n_subjects": ours.n_subjects.item(), "rho": ours.rho.item()}
    numbers |= {"rho_low": ours.ci_low.item(), "rho_high": ours.ci_high.item()}
    for quantity in ("decoupling_index", "attribution_accuracy"):
        for column, suffix in (("value", ""), ("ci_low", "_low"), ("ci_high", "_high")):
            numbers[quantity + suffix] = told.loc[quantity, column]
    return numbers | {"clean_dice": clean.value.mean()}


def costs(run: Path, model: str) -> dict[str, float]:
    """Return the number of networks that one rests on, itself included, and the hours of their trainings."""
    teachers = sorted((run / "benchmarks/models").glob("teacher-*")) if model == "student" else []
    networks = ["task", *(teacher.name for teacher in teachers), model]
    jobs = [job_cost(run / "benchmarks", run / "logs", f"models/{name}/rep-0") for name in networks]
    return {"networks": len(jobs), **{key: sum(job[key] for job in jobs) for key in ("hours", "cpu_hours")}}


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
