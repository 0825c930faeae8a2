"""What the table of seeds says of trainings that differ in their seed alone."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from score_tables import run_of, subjects_of

from decoupled_qc.analysis.scores import COLUMNS

SCRIPT = Path(__file__).parents[2] / "benchmarks/seeds.py"


@pytest.fixture(scope="module")
def seeds():
    spec = importlib.util.spec_from_file_location("seeds", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def trained(number):
    """Scores of one training: heads that tell the artefacts apart, and an uncertainty that ranks scans more or less well."""
    scores = run_of({"blur": {"blur": 2.0}, "noise": {"noise": 2.0}, "spike": {"spike": 2.0}}, seed=number)
    rng = np.random.default_rng(number)
    scans = scores.drop_duplicates("scan").drop(columns=["metric", "aggregation", "value"])
    dice = scans["artefact"].map({"none": 0.9, "blur": 0.8, "noise": 0.7, "spike": 0.6}) + rng.normal(
        0, 0.01, len(scans)
    )
    wrong = 1 - dice + rng.normal(0, 0.03 * (number + 1), len(scans))
    more = [
        scans.assign(metric="dice", aggregation="gm", value=dice),
        scans.assign(metric="artefact_uncertainty", aggregation="mean", value=wrong),
    ]
    return pd.concat([scores, *more]).assign(replicate=number)[list(COLUMNS)]


def test_each_number_stands_with_its_trainings_their_mean_and_spread(seeds):
    runs = [trained(number) for number in range(3)]
    table = seeds.spread_of_seeds(pd.concat(runs), subjects_of(runs[0])).set_index("name")
    rho = table.loc["rho, simulated scans, Dice: Artefact uncertainty (mean)"]
    for number, run in enumerate(runs):
        wide = run.pivot(index="scan", columns=["metric", "aggregation"], values="value")
        expected = stats.spearmanr(wide["artefact_uncertainty", "mean"], wide["dice", "gm"]).statistic
        assert rho[f"seed {number}"] == pytest.approx(expected)
        clean = wide["dice", "gm"][wide.index.str.endswith("clean")].mean()
        assert table.loc["mean Dice, clean", f"seed {number}"] == pytest.approx(clean)
    each = rho[[f"seed {number}" for number in range(3)]].astype(float)
    assert rho["mean"] == pytest.approx(each.mean()) and rho["sd"] == pytest.approx(each.std(ddof=1)) and rho["sd"] > 0
    assert (table.loc["attribution", ["seed 0", "seed 1", "seed 2"]] > 0.9).all()
    assert not table.index.str.contains("real").any()
