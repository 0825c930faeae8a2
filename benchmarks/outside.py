"""What artefacts outside the brain cost, by networks that were and were not trained against them.

Usage, after ``results/<run>/analysis/outside.csv`` of runs that differ in ``corruption.outside_probability``:

    python benchmarks/outside.py results/demo results/against

Writes ``benchmarks/outside.csv``: a row per run, artefact and place of the artefact with ``outside_probability``, mean loss of
grey-matter Dice and mean rise of the artefact uncertainty (eq. 9) from the same subject's clean scan; higher is worse.
"""

import sys
from pathlib import Path

import pandas as pd

from decoupled_qc.models import load_model

OUT = Path(__file__).parent / "outside.csv"
MEASURES = {("dice", "gm"): "dice_loss", ("artefact_uncertainty", "mean"): "uncertainty_rise"}


def main(*runs: Path) -> None:
    table = pd.concat([changes(run) for run in runs])
    table.to_csv(OUT, index=False, float_format="%.4f")
    print(table.to_string(index=False, float_format="%.3f"))


def changes(run: Path) -> pd.DataFrame:
    """Return a run's rows."""
    trained = load_model(run / "models/student/rep-0")[1]["corruption"]
    moved = pd.read_csv(run / "analysis/outside.csv")
    measure = pd.Series(list(zip(moved["measure"], moved["aggregation"], strict=True)), moved.index).map(MEASURES)
    moved = moved.assign(measure=measure, change=moved["change_sd"] * moved["clean_sd"]).dropna(subset="measure")
    keys = ["where", "artefact", "n_scans", "n_subjects", "n_anatomies"]
    wide = moved.pivot(index=keys, columns="measure", values="change").reset_index()
    return wide.assign(outside_probability=trained.get("outside_probability", 0.0))  # older than the key: 0


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
