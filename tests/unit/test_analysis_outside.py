import numpy as np
import pandas as pd
import pytest
from score_tables import subjects_of

from decoupled_qc.analysis.outside import COLUMNS, outside_changes
from decoupled_qc.analysis.scores import COLUMNS as SCORE_COLUMNS

CLEAN = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}  # mean 2.5, sd 1.291
SD = np.std(list(CLEAN.values()), ddof=1)
SCORES = {("dice", "gm"): -1, ("artefact_uncertainty", "mean"): 1, ("snr", "reference"): -1, ("efc", "scan"): 1}


def run_of(changes):
    """Scores that move from the clean scan by what is said: (condition, artefact) → change of each score in its own unit."""
    rows = []
    for subject, value in CLEAN.items():
        for (condition, artefact), moved in {("clean", "none"): dict.fromkeys(SCORES, 0.0), **changes}.items():
            for (metric, aggregation), change in moved.items():
                of_scan = (f"sub-{subject}", f"sub-{subject}_{condition}_{artefact}", "student", 0, condition, artefact)
                rows.append((*of_scan, 0.5, metric, aggregation, value + change))
    return pd.DataFrame(rows, columns=list(SCORE_COLUMNS))


def table_of(scores):
    table = outside_changes(scores, subjects_of(scores), n_boot=300, seed=1)
    assert list(table.columns) == list(COLUMNS)
    return table.set_index(["where", "artefact", "measure"]).sort_index()


def test_changes_are_in_sds_of_clean_scans_and_turned_so_that_higher_is_worse():
    one = dict.fromkeys(SCORES, 1.0)
    table = table_of(run_of({("outside", "noise"): one, ("sim-noise", "noise"): {key: 2 * SD for key in SCORES}}))
    for (measure, _), sign in SCORES.items():
        row = table.loc["outside", "noise", measure]
        assert row["change_sd"] == pytest.approx(sign / SD) and row["clean_sd"] == pytest.approx(SD)
        assert np.isnan(row["ci_low"])  # as far in every subject
        assert row["median_change"] == pytest.approx(1.0)  # in its own unit and sign
        assert row["share_beyond_clean"] == 0.25  # the highest subject's alone leaves 1 to 4
        assert (row["n_scans"], row["n_subjects"], row["note"]) == (
            4,
            4,
            "no interval: the same in every draw of subjects",
        )
        assert table.loc["everywhere", "noise", measure]["change_sd"] == pytest.approx(2 * sign)


def test_beyond_the_clean_scans_counts_either_side():
    moved = {("efc", "scan"): -1.5, ("artefact_uncertainty", "mean"): 3.5, ("snr", "reference"): 0.0}
    table = table_of(run_of({("outside", "blur"): moved})).loc["outside", "blur"]
    assert table.loc["efc", "share_beyond_clean"] == 0.5 and table.loc["efc", "change_sd"] < 0
    assert table.loc["artefact_uncertainty", "share_beyond_clean"] == 1.0
    assert table.loc["snr", "share_beyond_clean"] == table.loc["snr", "change_sd"] == 0.0


def test_all_is_the_mean_over_scans_and_its_interval_widens_with_disagreement():
    moved = {("outside", "noise"): {("efc", "scan"): 0.0}, ("outside", "blur"): {("efc", "scan"): 3.0}}
    scores = run_of(moved)
    scores.loc[(scores["subject"] == "sub-a") & (scores["artefact"] == "blur"), "value"] += 8.0
    row = table_of(scores).loc["outside", "all", "efc"]
    assert row["change_sd"] == pytest.approx((4 * 3.0 + 8.0) / 8 / SD) and row["n_scans"] == 8
    assert row["ci_low"] < row["change_sd"] < row["ci_high"]
    assert row["median_change"] == 1.5 and table_of(scores).loc["outside", "blur", "efc"]["median_change"] == 3.0


def test_what_has_no_number_has_a_reason():
    scores = run_of({("outside", "noise"): dict.fromkeys(SCORES, 1.0)})
    gap = (scores["subject"] == "sub-b") & (scores["condition"] == "clean") & (scores["metric"] == "snr")
    scores.loc[gap, "value"] = np.nan
    scores.loc[(scores["condition"] == "clean") & (scores["metric"] == "efc"), "value"] = 2.0
    scores.loc[(scores["condition"] == "outside") & (scores["metric"] == "dice"), "value"] = np.nan
    table = table_of(scores).loc["outside", "noise"]
    assert table.loc["snr", "n_scans"] == 3 and "1 of 4 scans left out" in table.loc["snr", "note"]
    assert np.isnan(table.loc["efc", "change_sd"]) and "all alike" in table.loc["efc", "note"]
    assert np.isnan(table.loc["dice", "change_sd"]) and "no scan" in table.loc["dice", "note"]


def test_a_run_without_scans_outside_has_no_rows_of_them():
    assert table_of(run_of({("sim-noise", "noise"): dict.fromkeys(SCORES, 1.0)})).loc["everywhere"].shape[0] == 8
    assert outside_changes(run_of({}), subjects_of(run_of({})), n_boot=10, seed=1).empty
