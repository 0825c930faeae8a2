import numpy as np
import pandas as pd
import pytest
from score_tables import subjects_of

from decoupled_qc.analysis.additivity import additivity
from decoupled_qc.analysis.scores import COLUMNS

MIXTURES = ("noise+blur", "noise+blur+spike")


def run_of(slope, n_subjects=12, noise=0.0, seed=0):
    """Scores in which a mixture brings ``slope`` times what its parts bring over the subject's clean scan."""
    rng = np.random.default_rng(seed)
    rows = []
    for subject in range(n_subjects):
        name, clean = f"sub-{subject:02d}", rng.uniform(0.05, 0.1)
        brings = {artefact: rng.uniform(0.02, 0.3) for artefact in ("noise", "blur", "spike")}
        values = {("clean", "none"): clean} | {(f"sim-{key}", key): clean + value for key, value in brings.items()}
        for mixture in MIXTURES:
            total = sum(brings[artefact] for artefact in mixture.split("+"))
            values["mix", mixture] = clean + slope * total + noise * rng.normal()
        for (condition, artefact), value in values.items():
            key = ("artefact_uncertainty", "mean")
            rows.append((name, f"{name}_{condition}_{artefact}", "student", 0, condition, artefact, 0.5, *key, value))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def table_of(scores):
    table = additivity(scores, subjects_of(scores), n_boot=400, seed=1).set_index("artefact")
    assert set(table["quantity"]) == {"additivity_slope"} and set(table["set"]) == {"mixtures"}
    return table


@pytest.mark.parametrize("slope", [0.0, 0.6, 1.0, 1.3])
def test_slope_is_what_was_put_in_for_each_mixture_and_for_all(slope):
    table = table_of(run_of(slope))
    assert list(table.index) == ["all", *MIXTURES]
    assert table["value"].to_numpy() == pytest.approx(slope, abs=1e-9)
    assert table["n_scans"].to_list() == [24, 12, 12] and set(table["n_subjects"]) == {12}


def test_interval_holds_the_truth_and_narrows_with_subjects():
    few, many = (table_of(run_of(0.8, n_subjects=n, noise=0.05)).loc["all"] for n in (8, 60))
    assert few["ci_low"] < 0.8 < few["ci_high"] and many["ci_low"] < 0.8 < many["ci_high"]
    assert many["ci_high"] - many["ci_low"] < 0.6 * (few["ci_high"] - few["ci_low"])


def test_a_mixture_without_one_of_its_parts_is_left_out_and_said_so():
    scores = run_of(1.0)
    scores = scores[~((scores["subject"] == "sub-00") & (scores["condition"] == "sim-spike"))]
    row = table_of(scores).loc["noise+blur+spike"]
    assert row["n_scans"] == 11 and "1 of 12 scans left out" in row["note"]
    assert row["value"] == pytest.approx(1.0)


def test_parts_that_bring_nothing_and_a_single_subject_get_no_number_but_a_reason():
    scores = run_of(1.0)
    scores["value"] = 0.1
    assert table_of(scores)["value"].isna().all() and table_of(scores)["note"].str.contains("no variance").all()
    one = table_of(run_of(1.0, n_subjects=1)).loc["all"]
    assert one["value"] == pytest.approx(1.0) and np.isnan(one["ci_low"]) and "one subject" in one["note"]


def test_a_run_without_mixtures_gives_no_rows():
    scores = run_of(1.0)
    assert additivity(scores[scores["condition"] != "mix"], subjects_of(scores), n_boot=10, seed=0).empty
