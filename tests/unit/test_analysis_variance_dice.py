"""The Dice predicted from all variances: the law it must find, what it may look at, and what it says where it cannot."""

import numpy as np
import pandas as pd
import pytest

from decoupled_qc.analysis.scores import COLUMNS
from decoupled_qc.analysis.variance_dice import variance_dice

SHARE_OF_GM = 0.125  # of all voxels
COST = {"noise": 0.5, "blur": 0.1}  # of Dice, for each square root of a variance per voxel of grey matter


def run_of(n_validation=6, n_test=5, seed=0):
    """Scans whose Dice falls with the square roots of two variances, five times as much with noise as with blur."""
    rng, rows = np.random.default_rng(seed), []
    for index in range(n_validation + n_test):
        condition = "validation" if index < n_validation else "sim-noise"
        for number in range(6):
            per_gm = dict(zip(COST, rng.uniform(0.0, 1.0, 2), strict=True))
            share = SHARE_OF_GM * rng.uniform(0.5, 1.5)  # of another field of view
            values = {
                ("dice", "gm"): 0.95 - sum(cost * np.sqrt(per_gm[name]) for name, cost in COST.items()),
                **{(f"variance_{name}", "mean"): value * share for name, value in per_gm.items()},
                ("variance_task", "mean"): rng.uniform(),
                ("artefact_uncertainty", "mean"): sum(per_gm.values()) * share,
                ("artefact_uncertainty", "per_gm"): sum(per_gm.values()),
            }
            base = (f"sub-{index}", f"sub-{index}-{number}", "student", 0, condition, "noise", 0.5)
            rows += [(*base, *key, value) for key, value in values.items()]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def predicted(scores):
    table = variance_dice(scores)
    assert list(table.columns) == [*COLUMNS, "note"]
    assert set(zip(table["metric"], table["aggregation"], strict=True)) == {("expected_dice", "all_variances")}
    return table.set_index("scan")


def test_causes_that_cost_differently_are_weighed_whatever_air_is_around_the_head():
    scores = run_of()
    table = predicted(scores)
    truth = scores[scores["metric"] == "dice"].set_index("scan")["value"]
    assert table["value"].to_numpy() == pytest.approx(truth[table.index].to_numpy(), abs=0.04)
    ours = scores[scores["aggregation"].eq("per_gm")].set_index("scan")["value"]
    by_sum, by_all = (
        abs(values[table.index].corr(truth[table.index], "spearman")) for values in (ours, table["value"])
    )
    assert by_all > 0.98 > 0.9 > by_sum


def test_no_test_scan_is_looked_at_and_validation_scans_get_no_prediction():
    scores = run_of()
    table = predicted(scores)
    assert set(table["condition"]) == {"sim-noise"} and len(table) == 30
    of_test = scores["condition"].eq("sim-noise")
    other = scores.assign(value=scores["value"].mask(of_test & scores["metric"].eq("dice"), 0.123))
    pd.testing.assert_frame_equal(predicted(other), table)
    one = of_test & scores["subject"].eq("sub-7") & scores["metric"].eq("variance_noise")
    rest = table["subject"] != "sub-7"
    changed = predicted(scores.assign(value=scores["value"].mask(one, 50.0)))
    pd.testing.assert_frame_equal(changed[rest], table[rest])
    assert (changed.loc[~rest, "value"] <= table.loc[~rest, "value"]).all()  # no variance can raise it


def test_a_scan_without_predicted_grey_matter_and_a_run_without_validation_subjects_say_so():
    scores = run_of()
    blind = scores["scan"].eq("sub-8-1") & scores["aggregation"].eq("per_gm")
    row = predicted(scores.assign(value=scores["value"].mask(blind))).loc["sub-8-1"]
    assert np.isnan(row["value"]) and "grey matter" in row["note"]
    for few in (run_of(n_validation=0), run_of(n_validation=1), scores[~scores["metric"].str.startswith("variance_")]):
        table = predicted(few)
        assert table["value"].isna().all() and table["note"].str.contains("nothing to fit").all()


def test_networks_are_fitted_apart():
    second = run_of(seed=3)
    both = variance_dice(pd.concat([run_of(), second.assign(replicate=1)], ignore_index=True))
    own = both[both["replicate"] == 1].set_index("scan")["value"]
    assert own.to_numpy() == pytest.approx(predicted(second)["value"].to_numpy())
