import numpy as np
import pandas as pd
import pytest

from decoupled_qc.analysis.regression import ridge_dice
from decoupled_qc.analysis.scores import COLUMNS


def run_of(n_validation=6, n_test=5, seed=0):
    """Scans whose Dice is 0.9 less three tenths of a damage that two noisy measures see each in part."""
    rng, rows = np.random.default_rng(seed), []
    for index in range(n_validation + n_test):
        condition = "validation" if index < n_validation else "sim-noise"
        for number in range(4):
            first, second = rng.uniform(0, 1, 2)
            values = {
                ("dice", "gm"): 0.9 - 0.15 * (first + second),
                ("cnr", "reference"): np.exp(-first),  # image measure
                ("variance_noise", "mean"): np.exp(3 * second),
                ("efc", "scan"): rng.normal(),
            }
            base = (f"sub-{index}", f"sub-{index}-{number}", "student", 0, condition, "noise", 0.5)
            rows += [(*base, *key, value) for key, value in values.items()]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def predicted(scores, measures="all_measures"):
    table = ridge_dice(scores)
    assert list(table.columns) == [*COLUMNS, "note"] and set(table["metric"]) == {"ridge_dice"}
    return table[table["aggregation"] == measures].set_index("scan")


def dice_of(scores):
    return scores[scores["metric"] == "dice"].set_index("scan")["value"]


def test_a_log_linear_law_is_found_and_one_measure_alone_knows_half_of_it():
    scores = run_of()
    table, truth = predicted(scores), dice_of(scores)
    assert table["value"].to_numpy() == pytest.approx(truth[table.index].to_numpy(), abs=0.01)
    image = predicted(scores, "image_measures")
    error = image["value"] - truth[image.index]
    assert error.std() > 0.02 and np.corrcoef(image["value"], truth[image.index])[0, 1] > 0.5


def test_only_validation_subjects_are_fitted_and_they_get_no_prediction():
    scores = run_of()
    table = predicted(scores)
    assert set(table["condition"]) == {"sim-noise"} and len(table) == 20
    other = scores.copy()
    other.loc[other["condition"].eq("sim-noise") & other["metric"].eq("dice"), "value"] = 0.123
    pd.testing.assert_frame_equal(predicted(other), table)  # no test scan's Dice was looked at
    changed = scores["condition"].eq("sim-noise") & scores["scan"].str.startswith("sub-7") & scores["metric"].eq("efc")
    other = scores.assign(value=scores["value"].where(~changed, 50.0))
    rest = ~table.index.str.startswith("sub-7")
    pd.testing.assert_frame_equal(predicted(other)[rest], table[rest])  # nor its measures, for the others


def test_a_missing_measure_is_no_number_but_a_reason():
    scores = run_of()
    scores.loc[scores["scan"].eq("sub-8-1") & scores["metric"].eq("cnr"), "value"] = np.nan
    row = predicted(scores).loc["sub-8-1"]
    assert np.isnan(row["value"]) and row["note"] == "lacks cnr:reference"
    assert predicted(scores)["value"].notna().sum() == 19
    known = scores.assign(value=scores["value"].where(~((scores["scan"] == "sub-1-0") & (scores["metric"] == "efc"))))
    assert np.isfinite(predicted(known).drop("sub-8-1")["value"]).all()  # missing where it is fitted: left out of all


def test_without_validation_subjects_every_scan_says_so():
    for scores in (run_of(n_validation=0), run_of(n_validation=1)):
        table = predicted(scores)
        assert table["value"].isna().all() and table["note"].str.contains("validation subjects").all()
    constant = run_of()
    constant.loc[constant["metric"] != "dice", "value"] = 1.0
    assert predicted(constant)["note"].str.contains("0 measures").all()


def test_networks_are_fitted_apart():
    both = pd.concat([run_of(), run_of(seed=3).assign(replicate=1)], ignore_index=True)
    alone = predicted(run_of(seed=3))
    table = ridge_dice(both)
    second = table[(table["replicate"] == 1) & (table["aggregation"] == "all_measures")].set_index("scan")
    assert second["value"].to_numpy() == pytest.approx(alone["value"].to_numpy())
