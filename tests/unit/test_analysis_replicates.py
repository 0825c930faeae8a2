import numpy as np
import pandas as pd
import pytest
from score_tables import DRAWS, cell, long_table, subjects_of

from decoupled_qc.analysis.correlation import correlate
from decoupled_qc.analysis.leaderboard import leaderboard
from decoupled_qc.analysis.rank_ranges import rank_ranges
from decoupled_qc.analysis.replicates import COLUMNS, COUNTS, replicates
from decoupled_qc.analysis.risk_coverage import risk_coverage
from decoupled_qc.paper.analysis_tables import leaderboard_parts


@pytest.fixture
def three():
    return pd.concat([long_table(seed=seed).assign(replicate=seed) for seed in range(3)], ignore_index=True)


def test_spread_is_that_of_each_trainings_rho(three):
    table = replicates(three, subjects_of(three))
    assert list(table.columns) == COLUMNS
    each = correlate(three, subjects_of(three), **DRAWS)
    for set_name in ("simulated", "simulated_artefact_only", "simulated_noise"):
        for score in ("snr", "artefact_uncertainty"):
            rhos = each[(each["set"] == set_name) & (each["score"] == score)]["rho"]
            row = cell(table, set_name, score)
            assert row["n_replicates"] == 3 and row["note"] == ""
            assert row["rho_mean"] == pytest.approx(rhos.mean())
            assert row["rho_seed_sd"] == pytest.approx(np.std(rhos, ddof=1))
            assert (row["rho_lowest"], row["rho_highest"]) == pytest.approx((rhos.min(), rhos.max()))
            behind = each[(each["set"] == set_name) & (each["score"] == score)][COUNTS].drop_duplicates()
            assert [list(row[COUNTS])] == behind.to_numpy().tolist()


def test_one_training_has_no_spread_and_says_so():
    scores = long_table()
    row = cell(replicates(scores, subjects_of(scores)), "simulated", "snr")
    assert np.isnan(row["rho_seed_sd"]) and row["note"] == "no spread: fewer than two trainings with a rho"


def test_a_rho_of_two_scans_is_none_here_either():
    both = pd.concat([long_table(n_subjects=2, seed=seed).assign(replicate=seed) for seed in range(2)])
    row = cell(replicates(both, subjects_of(both)), "simulated_noise", "snr")
    assert row["n_replicates"] == 0 and np.isnan(row["rho_mean"]) and row["note"].startswith("no spread")


def test_leaderboard_holds_it_beside_the_interval(three):
    first, subjects = three[three["replicate"] == 0], subjects_of(three)
    parts = correlate(first, subjects, **DRAWS), risk_coverage(first, subjects, dice_cuts=[0.7], n_boot=50, seed=1)
    found = replicates(three, subjects)
    ranges = rank_ranges(first, subjects, n_boot=50, seed=1)
    table = leaderboard(*parts, found, ranges, dice_cut=0.7)
    row = cell(table, "simulated", "snr")
    assert row["rho_seed_sd"] == cell(found, "simulated", "snr")["rho_seed_sd"] > 0
    assert row["n_replicates"] == 3 and row["ci_low"] < row["rho"] < row["ci_high"]
    _, _, cells, notes = leaderboard_parts(table, stand_in=False)
    shown = dict(zip(table["score"] + table["set"], cells["seed SD (n)"], strict=True))
    assert shown["snrsimulated"] == f"{row['rho_seed_sd']:.3f} (3)" and "seed SD (n)" in notes[-1]
    without = leaderboard(*parts, found[found["score"] != "snr"], ranges, dice_cut=0.7)
    assert "spread not computed over trainings" in cell(without, "simulated", "snr")["note"]
    one = leaderboard(*parts, replicates(first, subjects), ranges, dice_cut=0.7)
    assert "seed SD (n)" not in leaderboard_parts(one, stand_in=False)[2]
    assert "no spread between trainings: one" in cell(one, "simulated", "snr")["note"]


def test_the_rank_is_by_the_direction_that_a_score_should_have():
    scores = long_table()
    ours = scores["metric"] == "artefact_uncertainty"
    turned = scores.assign(value=scores["value"].where(~ours, -scores["value"]))
    ranks = []
    for run in (scores, turned):
        subjects = subjects_of(run)
        parts = correlate(run, subjects, **DRAWS), risk_coverage(run, subjects, dice_cuts=[0.7], n_boot=50, seed=1)
        table = leaderboard(
            *parts, replicates(run, subjects), rank_ranges(run, subjects, n_boot=50, seed=1), dice_cut=0.7
        )
        ranks.append(table[table["set"] == "simulated"].set_index("score")["rank"])
    assert (ranks[0]["artefact_uncertainty"], ranks[1]["artefact_uncertainty"]) == (1, 2)


def test_ranks_range_over_the_places_that_other_subjects_could_give_them():
    scores = long_table(n_subjects=12)
    dice = scores[scores["metric"] == "dice"].set_index("scan")["value"]
    exact = scores.assign(value=scores["value"].where(scores["metric"] != "snr", scores["scan"].map(dice)))
    rng = np.random.default_rng(0)
    others = [
        exact[exact["metric"] == "snr"].assign(metric=name, aggregation="mean", value=rng.normal(size=len(dice)))
        for name in ("entropy", "noise_a", "noise_b")
    ]
    run = pd.concat([exact, *others])
    table = rank_ranges(run, subjects_of(run), n_boot=300, seed=1)
    found = table[table["set"] == "simulated"].set_index("score")
    assert found.loc["snr", ["rank_low", "rank_high", "share_first"]].tolist() == [1, 1, 1]
    assert found.loc["artefact_uncertainty", ["rank_low", "rank_high"]].tolist() == [2, 2]
    for name in ("entropy", "noise_a", "noise_b"):  # as good as each other
        assert found.loc[name, "rank_low"] == 3 and found.loc[name, "rank_high"] == 5
        assert found.loc[name, "share_first"] == 0
    one = run[run["subject"] == run["subject"].iloc[0]]
    alone = rank_ranges(one, subjects_of(one), n_boot=20, seed=1)
    assert len(alone) == 5 and alone["rank_low"].isna().all() and (alone["note"] == "no interval: one subject").all()
