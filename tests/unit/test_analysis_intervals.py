import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from score_tables import subjects_of

from decoupled_qc.analysis.conformal import (
    conformal_quantile,
    crps_normal,
    held_out,
    interval_score,
    likelihood_ratio,
    weighted_quantiles,
)
from decoupled_qc.analysis.dice_interval import dice_interval
from decoupled_qc.analysis.prediction import decision_coverage, decisions
from decoupled_qc.analysis.scores import COLUMNS
from decoupled_qc.analysis.volumes import volumes


def test_conformal_quantile_of_one_scan_a_subject_is_the_ordinary_one():
    residuals, subjects = np.arange(1.0, 20.0), np.arange(19)  # 19 subjects: the 18th of 20 places holds 90 %
    assert conformal_quantile(residuals, subjects, 0.9) == 18
    assert conformal_quantile(residuals, subjects, 0.95) == 19
    assert conformal_quantile(residuals, subjects, 0.96) == np.inf


def test_many_scans_of_a_subject_weigh_no_more_than_one():
    residuals, subjects = np.r_[np.full(50, 9.0), 1.0, 2.0, 3.0], np.r_[np.zeros(50), 1, 2, 3]
    assert conformal_quantile(residuals, subjects, 0.6) == 3


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_conformal_covers_new_subjects_whose_scans_are_alike(level):
    rng, covered = np.random.default_rng(0), []
    for _ in range(1500):
        errors = np.abs(rng.normal(size=(21, 1)) * 0.8 + rng.normal(size=(21, 5)) * 0.6)
        half = conformal_quantile(errors[:20].ravel(), np.repeat(np.arange(20), 5), level)
        covered.append((errors[20] <= half).mean())
    assert level - 0.015 < np.mean(covered) < level + 1 / 21 + 0.015


def test_weighted_quantiles_of_equal_weights_are_the_ordinary_one_and_follow_their_weights():
    rng = np.random.default_rng(0)
    residuals, subjects = rng.exponential(size=60), np.repeat(np.arange(20), 3)
    same = weighted_quantiles(residuals, subjects, 0.8, np.full(60, 7.0), np.full(2, 7.0))
    assert same == pytest.approx([conformal_quantile(residuals, subjects, 0.8)] * 2)
    # By hand: weights 1, 1, 8 of three subjects and 2 of the new one, 12 in all; 0.75 of that is reached with the third.
    assert weighted_quantiles(np.array([1.0, 2, 3]), np.arange(3), 0.75, np.array([1.0, 1, 8]), np.array([2.0])) == 3
    assert (
        weighted_quantiles(np.array([1.0, 2, 3]), np.arange(3), 0.9, np.array([1.0, 1, 8]), np.array([2.0])) == np.inf
    )
    assert weighted_quantiles(np.array([]), np.array([]), 0.9, np.array([]), np.ones(2)).tolist() == [np.inf, np.inf]


def test_weighted_intervals_hold_after_a_shift_that_ordinary_ones_do_not_survive():
    """Errors grow with x; calibration has small x, the new scans large ones."""
    rng, covered = np.random.default_rng(1), {"plain": [], "weighted": []}
    for _ in range(300):
        known, new = rng.normal(0, 1, 150), rng.normal(1, 1, 150)
        residuals, errors = (np.abs(rng.normal(size=150)) * np.exp(x) for x in (known, new))
        weights, of_new = likelihood_ratio(known, np.arange(150), new)
        half = weighted_quantiles(residuals, np.arange(150), 0.8, weights, of_new)
        covered["plain"].append((errors <= conformal_quantile(residuals, np.arange(150), 0.8)).mean())
        covered["weighted"].append((errors <= half).mean())
    assert np.mean(covered["plain"]) < 0.6
    assert 0.78 < np.mean(covered["weighted"]) < 0.86


def test_likelihood_ratio_of_two_normals():
    rng = np.random.default_rng(2)
    new = rng.normal(1, 1, 20000)
    of_known, of_new = likelihood_ratio(rng.normal(0, 1, 20000), np.arange(20000), new)
    middle = np.abs(new - 0.5) < 2
    assert np.log(of_new[middle]) == pytest.approx((new - 0.5)[middle], abs=0.15)  # log N(x; 1, 1) / N(x; 0, 1)
    # One subject's hundred scans weigh no more than another's one.
    few, many = rng.normal(0, 1, 400), np.full(40000, 3.0)
    _, alike = likelihood_ratio(np.r_[few, many], np.r_[np.arange(400), np.full(40000, 400)], few)
    assert np.median(alike) == pytest.approx(1, abs=0.1)
    assert of_known.min() >= 1 / 20 and of_new.max() <= 20


@pytest.mark.parametrize("n_subjects", [3, 50, 120])
def test_every_scan_is_held_out_once_with_all_others_of_its_subject(n_subjects):
    subjects = np.repeat([f"sub-{index:03d}" for index in range(n_subjects)], 3)
    folds = list(held_out(subjects))
    assert len(folds) == min(n_subjects, 50) and (np.sum(folds, axis=0) == 1).all()
    for own in folds:
        assert not set(subjects[own]) & set(subjects[~own]) and 1 <= len(set(subjects[own])) <= -(-n_subjects // 50)


def test_interval_score_by_hand_and_least_for_the_true_quantiles():
    truth = np.array([0.0, 3.0])
    assert interval_score(truth, np.array([-1.0, -1.0]), np.array([1.0, 1.0]), 0.8) == pytest.approx(
        [2, 2 + 2 / 0.2 * 2]
    )
    truth = np.random.default_rng(0).normal(size=20000)
    half = {
        width: interval_score(truth, -width + 0 * truth, width + 0 * truth, 0.9).mean() for width in (1.2, 1.645, 2.2)
    }
    assert min(half, key=half.get) == 1.645


def test_crps_of_a_normal_is_its_integral_and_least_for_the_true_spread():
    grid = np.linspace(-30, 30, 200001)
    for error, sd in ((0.0, 1.0), (2.5, 0.7), (-4.0, 3.0)):
        cdf = stats.norm.cdf(grid, error, sd)  # of the prediction, the truth at 0
        integral = np.trapezoid((cdf - (grid >= 0)) ** 2, grid)
        assert crps_normal(np.array([error]), np.array([sd]))[0] == pytest.approx(integral, abs=1e-3)
    assert crps_normal(np.array([-3.0]), np.zeros(1)) == 3
    errors = np.random.default_rng(0).normal(size=20000)
    scores = {sd: crps_normal(errors, np.full(20000, sd)).mean() for sd in (0.6, 1.0, 1.6)}
    assert min(scores, key=scores.get) == 1.0


def volume_run(n_test=12, n_validation=20, scale=1.0, seed=0):
    """Scans whose volume errs by `scale` times the uncertain volume; validation scans likewise."""
    rng, rows = np.random.default_rng(seed), []
    people = [(f"sub-t{i:02d}", "test") for i in range(n_test)] + [(f"sub-v{i:02d}", "v") for i in range(n_validation)]
    for subject, role in people:
        for artefact in ("none", "noise", "blur"):
            uncertain = rng.uniform(5, 20) * (0.3 if artefact == "none" else 1)
            condition = {"none": "clean"}.get(artefact, f"sim-{artefact}") if role == "test" else "validation"
            values = {
                ("volume_ml", "gm"): 600 + rng.normal() * scale * uncertain,
                ("reference_volume_ml", "gm"): 600.0,
                ("volume_variance_ml", "gm"): 100 + uncertain,
                ("volume_variance_ml", "above_certain"): uncertain,
                ("volume_sd_ml", "gm"): 400 + 3 * uncertain,
            }
            base = (subject, f"{subject}_{artefact}", "student", 0, condition, artefact, 0.4)
            rows += [(*base, *key, value) for key, value in values.items()]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def volume_table(scores):
    table = volumes(scores, subjects_of(scores), voxel_ml=0.008, n_boot=50, seed=1)
    return table, table[table["scans"] == "with an artefact"].set_index(["bars", "calibrated_on", "level"])


def test_calibrated_bars_cover_what_they_promise_whatever_the_scale():
    _, table = volume_table(volume_run(n_test=250, n_validation=250, scale=2.5))
    for level, within in (
        (0.5, 0.07),
        (0.8, 0.06),
        (0.9, 0.04),
        (0.95, 0.03),
    ):  # 500 scans: about three standard errors
        for on in ("validation subjects", "other test subjects"):
            for bars in ("scaled", "conformal"):
                assert table.loc[(bars, on, level), "coverage"] == pytest.approx(level, abs=within)
        found = table.loc[("conformal_weighted", "validation subjects", level), "coverage"]
        assert found == pytest.approx(level, abs=within)
    assert table.loc[("scaled", "validation subjects", 0.9), "z_rms"] == pytest.approx(1, abs=0.2)
    assert table.loc[("sqrt_sum_var", "nothing", 0.9), "z_rms"] > 5
    assert table["crps_ml"].xs("conformal").isna().all()
    assert table.loc[("sqrt_sum_var", "nothing", 0.95), "coverage"] < 0.3  # voxels do not err independently


def test_bars_that_are_not_calibrated_follow_their_closed_forms():
    """By hand: subject 1's noise scan has 9 mL of variance and 20 mL of deviation above clean, subject 2's 4 and 50."""
    voxel_ml, z90, rows = 0.25, 1.6448536, []
    for subject, error, variance, spread in (("sub-1", 10.0, 9.0, 20.0), ("sub-2", -10.0, 4.0, 50.0)):
        for condition, artefact, above in (("clean", "none", 0), ("sim-noise", "noise", 1)):
            values = {
                ("volume_ml", "gm"): 600.0 + error,
                ("reference_volume_ml", "gm"): 600.0,
                ("volume_variance_ml", "gm"): 100 + above * variance,
                ("volume_variance_ml", "above_certain"): 5.0,
                ("volume_sd_ml", "gm"): 400 + above * spread,
            }
            base = (subject, f"{subject}_{condition}", "student", 0, condition, artefact, 0.4)
            rows += [(*base, *key, value) for key, value in values.items()]
    scores = pd.DataFrame(rows, columns=list(COLUMNS))
    table = volumes(scores, subjects_of(scores), voxel_ml=voxel_ml, n_boot=50, seed=1)
    table = table[(table["scans"] == "noise") & (table["calibrated_on"] == "nothing")].set_index(["bars", "level"])
    halves = {
        "sum_var": (9.0, 4.0),
        "sqrt_sum_var": (np.sqrt(9.0 * 0.25), np.sqrt(4.0 * 0.25)),  # n voxels of variance v: voxel sqrt(n v)
        "sum_sd": (20.0, 50.0),
    }
    for bars, sizes in halves.items():
        found = table.loc[(bars, 0.9)]
        half = z90 * np.array(sizes)
        assert found["width_ml"] == pytest.approx(2 * half.mean())
        assert found["coverage"] == pytest.approx((half >= 10).mean())
        assert found["interval_score_ml"] == pytest.approx((2 * half + 2 / 0.1 * (10 - half).clip(min=0)).mean())
        assert found["z_rms"] == pytest.approx(np.sqrt(np.mean((10 / np.array(sizes)) ** 2)))
        assert found["crps_ml"] == pytest.approx(crps_normal(np.array([10.0, -10.0]), np.array(sizes)).mean())
        assert table.loc[(bars, 0.5), "width_ml"] == pytest.approx(found["width_ml"] * 0.6744898 / z90)
    assert table["coverage"].xs(0.9, level="level").to_dict() == {"sum_var": 0.5, "sqrt_sum_var": 0, "sum_sd": 1}


def test_a_learnt_scale_makes_the_mean_square_of_error_over_bar_one_where_it_was_learnt():
    scores = volume_run(n_test=8, n_validation=9)
    wide = scores.pivot(index=["scan", "condition"], columns=["metric", "aggregation"], values="value").reset_index()
    error = wide["volume_ml", "gm"] - wide["reference_volume_ml", "gm"]
    _, table = volume_table(scores)
    learnt_on, used_on = wide["condition"] == "validation", wide["condition"].isin(["sim-noise", "sim-blur"])
    for bars, scale in (("scaled", ("volume_variance_ml", "above_certain")), ("scaled_sd", ("volume_sd_ml", "gm"))):
        c = np.sqrt(((error / wide[scale])[learnt_on] ** 2).mean())
        found = table.loc[(bars, "validation subjects", 0.9)]
        assert found["width_ml"] == pytest.approx(2 * 1.6448536 * c * wide.loc[used_on, scale].mean())
        assert found["z_rms"] == pytest.approx(np.sqrt(((error / (c * wide[scale]))[used_on] ** 2).mean()))


def test_bars_below_the_clean_scans_are_zero():
    scores = volume_run(n_test=3, n_validation=0)
    noisy = (scores["artefact"] != "none") & scores["metric"].isin(["volume_variance_ml", "volume_sd_ml"])
    scores.loc[noisy & (scores["aggregation"] == "gm"), "value"] = 1.0
    table = volumes(scores, subjects_of(scores), voxel_ml=0.008, n_boot=50, seed=1)
    own = table[(table["scans"] == "noise") & (table["calibrated_on"] == "nothing")]
    assert len(own) == 12 and own["width_ml"].eq(0).all() and own["coverage"].eq(0).all()


def test_wider_levels_have_wider_bars_and_every_gap_has_a_note():
    table, all_scans = volume_table(volume_run(n_test=6, n_validation=7))
    for _, own in table.dropna(subset="width_ml").groupby(["bars", "calibrated_on", "scans"]):
        assert own["width_ml"].is_monotonic_increasing
    unbounded = all_scans.loc[("conformal", "validation subjects", 0.95)]
    assert np.isnan(unbounded["width_ml"]) and unbounded["coverage"] == 1
    assert unbounded["note"].split("; ")[-1] == "unbounded: 7 calibration subjects are too few for this level"
    assert (table["width_ml"].notna() | table["note"].str.contains("unbounded|no value")).all()
    weak = "severity up to 1/2"
    sets = ["all", "with an artefact", "blur", "noise", "clean", weak, f"blur, {weak}", f"noise, {weak}"]
    assert list(table["scans"].unique()) == sets


def test_bars_above_clean_have_no_number_where_there_are_clean_scans():
    """They are 0 there by construction, which would count against them."""
    table, faulty = volume_table(volume_run(n_test=6, n_validation=7))
    held = table["scans"].isin(["all", "clean"])
    own = table[held & table["bars"].isin(["sum_var", "sqrt_sum_var", "sum_sd"])]
    assert own["coverage"].isna().all()
    assert (own["note"] == "no value: a bar above clean does not exist for a clean scan").all()
    assert table.loc[held & (table["bars"] == "scaled"), "coverage"].notna().all()
    assert faulty["coverage"].notna().all() and faulty["n_scans"].eq(12).all()


def test_without_validation_subjects_the_table_says_what_it_used():
    table, _ = volume_table(volume_run(n_validation=0))
    assert set(table["calibrated_on"]) == {"nothing", "other test subjects"}
    assert table.loc[table["bars"] == "conformal", "n_calibration_subjects"].eq(11).all()
    one, _ = volume_table(volume_run(n_test=1, n_validation=0))
    assert one.loc[one["bars"] == "scaled", "note"].str.contains("no subject to calibrate on").all()


def dice_run(n_test=20, n_validation=20, seed=0, noise=0.03):
    """Scans of one artefact whose Dice falls with the square root of its variance per voxel of grey matter."""
    rng, rows = np.random.default_rng(seed), []
    for role, count in (("t", n_test), ("v", n_validation)):
        for index in range(count):
            subject = f"sub-{role}{index:02d}"
            for scan in range(5):
                score = rng.uniform(0, 1)
                dice = 0.95 - 0.6 * score + rng.normal(0, noise)
                condition = "validation" if role == "v" else "clean" if scan == 0 else "sim-noise"
                base = (subject, f"{subject}-{scan}", "student", 0, condition, "noise" if scan else "none", 0.5)
                variances = {
                    ("variance_noise", "mean"): score**2,
                    ("artefact_uncertainty", "mean"): score**2,
                    ("artefact_uncertainty", "per_gm"): 8 * score**2,
                }
                rows += [(*base, "dice", "gm", dice), *((*base, *key, value) for key, value in variances.items())]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def test_decisions_are_right_as_often_as_stated_and_most_scans_get_one():
    wrong, decided, covered = [], [], []
    for seed in range(20):
        scores = dice_run(seed=seed)
        table = decisions(scores, subjects_of(scores), target_dice=0.7, error_rate=0.2)
        assert (table["calibrated_on"] == "validation subjects").all() and len(table) == 100
        wrong.append((table["right"] == "no").mean())
        decided.append((table["verdict"] != "review").mean())
        covered.append(table["dice"].between(table["low"], table["high"]).mean())
    assert np.mean(wrong) < 0.2 and np.mean(decided) > 0.6
    assert np.mean(covered) == pytest.approx(0.82, abs=0.04)


def test_intervals_of_good_scans_are_narrow_and_those_of_bad_ones_hold_as_often():
    """Dice here scatters by a tenth of what it lacks to 1: with one width for all, bad scans are held too seldom."""
    held = []
    for seed in range(20):
        scores = dice_run(seed=seed, noise=0.0)
        dice, rng = scores["metric"] == "dice", np.random.default_rng(seed)
        scores.loc[dice, "value"] -= 0.15 * (1 - scores.loc[dice, "value"]) * rng.normal(size=dice.sum())
        table = decisions(scores, subjects_of(scores), target_dice=0.7, error_rate=0.2)
        table["width"], table["held"] = table["high"] - table["low"], table["dice"].between(table["low"], table["high"])
        held.append(table.groupby(table["predicted_dice"] > 0.7)[["width", "held"]].mean())
    bad, good = (pd.concat(held).groupby(level=0).mean().loc[side] for side in (False, True))
    assert bad["width"] > 1.8 * good["width"]
    assert bad["held"] == pytest.approx(good["held"], abs=0.06) and good["held"] == pytest.approx(0.82, abs=0.06)


def test_an_interval_is_never_of_no_width_nor_beyond_dice():
    low, high = dice_interval(np.array([1.0, 0.6, 0.1]), 0.5)
    assert low == pytest.approx([0.975, 0.4, 0.0]) and high == pytest.approx([1.0, 0.8, 0.55])
    assert [ends.tolist() for ends in dice_interval(np.array([1.0, 0.2]), math.inf)] == [[0, 0], [1, 1]]


def test_a_useless_score_decides_nothing():
    scores = dice_run()
    shuffled = scores["metric"] == "variance_noise"
    scores.loc[shuffled, "value"] = np.random.default_rng(1).permutation(scores.loc[shuffled, "value"])
    table = decisions(scores, subjects_of(scores), target_dice=0.65, error_rate=0.1)
    assert (table["verdict"] == "review").mean() > 0.95


def test_a_table_without_variances_has_no_decisions():
    scores = dice_run(n_test=3)
    for lost in (scores["metric"].eq("variance_noise"), scores["aggregation"].eq("per_gm")):
        assert decisions(scores[~lost], subjects_of(scores), target_dice=0.7, error_rate=0.2).empty


def test_too_few_subjects_mean_review_with_a_reason():
    scores = dice_run(n_test=3, n_validation=1)
    table = decisions(scores, subjects_of(scores), target_dice=0.7, error_rate=0.1)
    assert (table["verdict"] == "review").all() and table["note"].str.contains("2 are needed").all()
    table = decisions(dice_run(n_validation=4), subjects_of(dice_run(n_validation=4)), target_dice=0.7, error_rate=0.1)
    assert (table["verdict"] == "review").all() and table["note"].str.contains("unbounded").all()


def test_a_certain_scan_and_equal_volumes_break_nothing():
    scores = volume_run(n_test=4, n_validation=4)
    scores.loc[scores["aggregation"] == "above_certain", "value"] = 0.0
    scores.loc[scores["metric"] == "volume_ml", "value"] = 600.0
    table, all_scans = volume_table(scores)
    assert (table["coverage"].dropna() == 1).all()  # the volume is right in every scan
    assert all_scans.loc[("scaled", "validation subjects", 0.9), "width_ml"] == 0


def test_equal_dice_and_equal_scores_predict_that_dice():
    scores = dice_run(n_test=3, n_validation=9)
    scores["value"] = np.where(scores["metric"] == "dice", 0.8, 0.5)
    table = decisions(scores, subjects_of(scores), target_dice=0.7, error_rate=0.2)
    assert table["predicted_dice"].to_numpy() == pytest.approx(0.8)
    assert (table["verdict"] == "pass").all()


def test_what_intervals_held_is_told_of_each_artefact_and_scans_without_a_prediction_are_counted():
    scores = dice_run(n_test=8, n_validation=12)
    second = scores["condition"].str.startswith("sim-") & scores["scan"].str.endswith("-1")
    scores.loc[second, ["condition", "artefact"]] = ["sim-blur", "blur"]
    lost = scores["scan"].eq(scores.loc[second, "scan"].iloc[0]) & scores["metric"].eq("artefact_uncertainty")
    scores.loc[lost, "value"] = np.nan
    table = decisions(scores, subjects_of(scores), target_dice=0.7, error_rate=0.2)
    assert len(table) == 40 and table["note"].ne("").sum() == 1
    held = decision_coverage(table, n_boot=50, seed=1).set_index("scans")
    known = table.dropna(subset="predicted_dice").assign(held=table["dice"].between(table["low"], table["high"]))
    assert held.loc["all", "coverage"] == pytest.approx(known["held"].mean()) and held.loc["all", "level"] == 0.8
    assert held.loc["blur", "coverage"] == pytest.approx(known.loc[known["artefact"] == "blur", "held"].mean())
    assert held.loc["blur", "ci_low"] <= held.loc["blur", "coverage"] <= held.loc["blur", "ci_high"]
    assert held["n_scans"].to_dict()["blur"] == 7 and "1 of 8 scans left out" in held.loc["blur", "note"]
    assert (held["n_calibration_subjects"] == 12).all() and (held["n_calibration_anatomies"] == 2).all()


def test_volumes_say_how_many_scans_were_left_out():
    scores = volume_run(n_test=8)
    scores.loc[(scores["scan"] == "sub-t00_noise") & (scores["metric"] == "volume_sd_ml"), "value"] = np.nan
    table, _ = volume_table(scores)
    own = table[table["scans"] == "noise"]
    assert (own["n_scans"] == 7).all() and own["note"].str.startswith("1 of 8 scans left out").all()
    assert (table.loc[table["scans"] == "blur", "n_scans"] == 8).all()
