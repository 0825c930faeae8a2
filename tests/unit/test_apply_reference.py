import json
import math

import numpy as np
import pandas as pd
import pytest
from scan_measures import scan
from scipy.optimize import minimize
from scipy.spatial.distance import mahalanobis
from scipy.stats import spearmanr
from sklearn.covariance import ledoit_wolf
from tiny_model import ARTEFACTS, BANDS, measured_scans, write_tiny_model

from decoupled_qc.analysis.expected_dice import PENALTY, dice_of_subjects_left_out, expected_dice, interval
from decoupled_qc.analysis.naming import cause_model, discriminant, lead, named_cause
from decoupled_qc.apply.kind import kind_measures, kind_model, unlike_together
from decoupled_qc.apply.model_card import write_model_card
from decoupled_qc.apply.reference import input_ranges, summarise, widened
from decoupled_qc.apply.verdict import (
    judge,
    nearest_severity,
    out_of_range,
    percentile,
)
from decoupled_qc.errors import InputError
from decoupled_qc.report import wording


@pytest.fixture(scope="module")
def reference():
    return summarise(measured_scans(), ARTEFACTS, BANDS, target_dice=0.75, error_rate=0.1)


def test_the_reference_is_json_and_counts_what_stands_behind_it(reference):
    assert json.loads(json.dumps(reference, allow_nan=False)) == reference
    assert (reference["n_scans"], reference["n_subjects"], reference["n_anatomies"]) == (60, 12, 3)
    assert {artefact: list(bands) for artefact, bands in reference["severity"].items()} == {
        name: ["0-0.5", "0.5-1"] for name in ARTEFACTS
    }
    assert all(values == sorted(values) for values in reference["clean"].values())


def test_expected_dice_is_the_best_curve_that_no_variance_raises_and_its_interval_holds_new_subjects_scans(reference):
    measured, model = measured_scans(), reference["dice_model"]
    variance = measured[["uncertainty_noise", "uncertainty_blur"]].to_numpy() * measured[["box_per_gm"]].to_numpy()
    x = np.sqrt(np.concatenate([variance, variance.sum(axis=1, keepdims=True)], axis=1))
    z, dice = (x - x.mean(axis=0)) / x.std(axis=0), measured["dice:gm"].to_numpy()

    def loss(weights):
        return np.sum((dice - dice.mean() - z @ weights) ** 2) + PENALTY * np.sum(weights**2)

    best = minimize(loss, -np.ones(3), bounds=[(None, 0)] * 3, options={"ftol": 1e-14, "gtol": 1e-9}).x
    fitted = np.clip(dice.mean() + z @ best, 0, 1)
    rows = measured.to_dict("records")
    assert [expected_dice(row, model, ARTEFACTS) for row in rows] == pytest.approx(fitted.tolist(), abs=1e-4)
    new = measured_scans(80)
    new = new[new["subject"].str.removeprefix("sub-").astype(int) >= 12]
    ends = [interval(row, model, ARTEFACTS)[1:] for row in new.to_dict("records")]
    held = np.mean([low <= truth <= high for (low, high), truth in zip(ends, new["dice:gm"], strict=True)])
    assert 0.85 < held <= 1.0 and model["ratio"] < 1.0


def test_the_dice_of_a_subject_left_out_owes_nothing_to_its_own_scans():
    measured = measured_scans()
    own = (measured["subject"] == "sub-3").to_numpy()
    found = dice_of_subjects_left_out(measured, ARTEFACTS)
    assert np.abs(found - measured["dice:gm"]).mean() < 0.1
    measured.loc[own, "dice:gm"] = 0.0
    changed = dice_of_subjects_left_out(measured, ARTEFACTS)
    assert changed[own].tolist() == found[own].tolist() and (changed[~own] != found[~own]).any()


def test_no_rise_of_a_variance_raises_the_dice_though_noise_here_goes_with_better_scans():
    measured = measured_scans()
    noisy = measured["artefact"] == "noise"
    measured.loc[noisy, "dice:gm"] = 0.95
    model = summarise(measured, ARTEFACTS, BANDS, target_dice=0.75, error_rate=0.1)["dice_model"]
    for name in ARTEFACTS:
        found = [expected_dice(scan(**{name: value}), model, ARTEFACTS) for value in np.geomspace(0.005, 0.5, 20)]
        assert found == sorted(found, reverse=True)
    assert found[-1] < found[0] - 0.2  # of blur, which costs Dice


def test_surroundings_without_variance_leave_the_dice_to_expect_and_missed_grey_matter_lowers_it(reference):
    model, tight = reference["dice_model"], scan(noise=0.08)
    roomy = scan(noise=0.04, blur=0.01, box_per_gm=16.0)  # twice the box, half the mean: the same variance in all
    assert expected_dice(roomy, model, ARTEFACTS) == pytest.approx(expected_dice(tight, model, ARTEFACTS))
    missed = scan(noise=0.08, box_per_gm=12.0)
    assert expected_dice(missed, model, ARTEFACTS) < expected_dice(tight, model, ARTEFACTS) - 0.02


def test_what_lies_beyond_the_fitted_scans_is_taken_as_at_their_end(reference):
    model = reference["dice_model"]
    worst, beyond = (scan(noise=noise) for noise in (model["high"][0] / 8.0, 50.0))
    assert expected_dice(beyond, model, ARTEFACTS) == pytest.approx(expected_dice(worst, model, ARTEFACTS))
    assert expected_dice(beyond, model, ARTEFACTS) < expected_dice(scan(), model, ARTEFACTS) - 0.2


def test_of_two_causes_with_the_same_uncertainty_the_one_that_costs_more_dice_is_told():
    """The sum of the variances is the same for both, so that no curve of the sum could tell them apart."""
    measured = measured_scans()
    blurred = measured["artefact"] == "blur"
    measured.loc[blurred, "dice:gm"] = 0.9 - 0.05 * measured.loc[blurred, "severity"]
    model = summarise(measured, ARTEFACTS, BANDS, target_dice=0.75, error_rate=0.1)["dice_model"]
    noisy, soft = (expected_dice(scan(**{name: 0.2}), model, ARTEFACTS) for name in ("noise", "blur"))
    assert noisy < 0.6 and soft > 0.8


def test_volume_error_bars_hold_the_validation_volumes_and_scale_with_uncertainty(reference):
    measured, ratio = measured_scans(), reference["volume_model"]["ratio"]
    assert 0.9 <= (measured["error_ml"].abs() <= ratio * measured["volume_scale_ml"]).mean() <= 1
    widths = []
    for scale in (40.0, 80.0):
        row = judge(scan(volume_scale_ml=scale), reference, [])
        widths.append(row["gm_volume_high_ml"] - row["gm_volume_low_ml"])
    assert widths[1] == pytest.approx(2 * widths[0]) and widths[0] == pytest.approx(2 * 40 * ratio)


def test_too_few_subjects_promise_no_interval_and_one_is_none():
    few = measured_scans(4)  # 90 % needs nine
    found = summarise(few, ARTEFACTS, BANDS, target_dice=0.75, error_rate=0.1)
    assert found["dice_model"]["ratio"] is None and found["volume_model"]["ratio"] is None
    row = judge(scan(), found, [])
    assert (row["predicted_dice_low"], row["predicted_dice_high"], row["decision"]) == (0.0, 1.0, "review")
    assert math.isnan(row["gm_volume_low_ml"])
    with pytest.raises(InputError, match="two subjects or more"):
        summarise(measured_scans(1), ARTEFACTS, BANDS, target_dice=0.75, error_rate=0.1)


def test_pass_review_and_fail_follow_the_interval(reference):
    decided = [judge(scan(noise=noise), reference, [])["decision"] for noise in (0.02, 0.1, 0.4)]
    assert decided[0] == "pass" and decided[2] == "fail"
    assert judge(scan(), reference, ["air far below zero, as in a CT scan"])["decision"] == "review"
    assert judge(scan(noise=0.4), reference, ["odd"])["decision"] == "fail"


def test_the_cause_is_the_most_likely_artefact_or_none(reference):
    assert judge(scan(), reference, [])["cause"] == "none"
    assert judge(scan(noise=0.2), reference, [])["cause"] == "noise"
    assert judge(scan(blur=0.2, noise=0.05), reference, [])["cause"] == "blur"


def test_the_discriminant_is_the_closed_form_for_two_kinds():
    rng = np.random.default_rng(0)
    covariance = np.array([[1.0, 0.7], [0.7, 1.0]])
    means = {"none": (0.0, 0.0), "noise": (2.0, 0.0)}
    draws = {name: rng.multivariate_normal(mean, covariance, 4000) for name, mean in means.items()}
    table = pd.concat(
        pd.DataFrame({"artefact": name, "uncertainty_noise": np.exp(x[:, 0]), "uncertainty_blur": np.exp(x[:, 1])})
        for name, x in draws.items()
    )
    functions = discriminant(table, ["noise", "blur"])
    assert list(functions) == ["none", "noise"]  # blur has no scan, so nothing is said of it
    between = np.subtract(functions["noise"]["weights"], functions["none"]["weights"])
    assert between == pytest.approx(np.linalg.solve(covariance, [2.0, 0.0]), rel=0.1)
    middle = {
        "uncertainty_noise": math.e,
        "uncertainty_blur": 1.0,
    }  # halfway between the means: as likely one as the other
    assert lead(middle, functions, ["noise", "blur"])[0] == "noise"
    assert abs(lead(middle, functions, ["noise", "blur"])[1]) < 0.15
    both = {
        "uncertainty_noise": math.e**1.5,
        "uncertainty_blur": math.e**1.5,
    }  # what clean scans do: heads rise together
    assert named_cause(both, {"functions": functions, "threshold": 0.0}, ["noise", "blur"]) == "none"
    own = {"uncertainty_noise": math.e**1.5, "uncertainty_blur": 1.0}
    assert named_cause(own, {"functions": functions, "threshold": 0.0}, ["noise", "blur"]) == "noise"
    assert named_cause(own, {"functions": functions, "threshold": 9.0}, ["noise", "blur"]) == "none"


def test_an_artefact_that_another_head_answers_to_is_named_by_how_heads_move_together():
    """Spike's head rises more with noise than with spikes: the highest rise would always be wrong for noise."""
    rng, rows = np.random.default_rng(1), []
    for subject in range(10):
        for artefact, rise in (("none", (0, 0)), ("spike", (2, 0)), ("noise", (3, 1))):
            spike, noise = np.exp(np.array(rise) + 0.3 * rng.normal(size=2))
            found = {"uncertainty_spike": spike, "uncertainty_noise": noise}
            rows.append({"subject": subject, "artefact": artefact, **found})
    model, accuracy = cause_model(pd.DataFrame(rows), ["spike", "noise"], 0.9)
    assert accuracy["overall"] > 0.8 and accuracy["if_forced"] >= accuracy["overall"] and accuracy["n"] == 20
    assert set(model["functions"]) == {"none", "spike", "noise"}


def test_the_accuracy_of_a_cause_is_counted_on_scans_whose_own_subject_is_left_out():
    found = cause_model(measured_scans(), ARTEFACTS, 0.9)[1]
    assert found["overall"] > 0.9 and found["n"] == 48
    assert sum(one["n"] for one in found["named"].values()) == 60
    assert found["named"]["noise"]["accuracy"] > 0.9
    shuffled, rng = measured_scans(), np.random.default_rng(0)
    corrupted = shuffled["artefact"] != "none"
    shuffled.loc[corrupted, "artefact"] = rng.permutation(shuffled.loc[corrupted, "artefact"])
    assert cause_model(shuffled, ARTEFACTS, 0.9)[1]["if_forced"] < 0.7  # what cannot be known is not counted as known
    first = measured_scans()
    first.loc[(first["subject"] == "sub-0") & (first["artefact"] == "noise"), "artefact"] = "blur"
    confusion = cause_model(first, ARTEFACTS, 0.9)[1]["confusion"]
    assert confusion["blur"]["noise"] == 2  # that subject's scans did not teach their own wrong names


def test_percentiles_and_bands(reference):
    assert [percentile(value, [1.0, 2.0, 3.0, 4.0]) for value in (0.5, 2.0, 2.5, 9.0)] == [0.0, 37.5, 50.0, 100.0]
    weak, strong = (float(np.median(reference["severity"]["noise"][band])) for band in ("0-0.5", "0.5-1"))
    assert nearest_severity(weak, reference, "noise") == "0-0.5"
    assert nearest_severity(strong, reference, "noise") == "0.5-1"
    assert nearest_severity(0.04, reference, "none") == "clean"
    level = {"clean": {"artefact_uncertainty": [0.05]}, "severity": {"motion": {"0-0.5": [0.10], "0.5-1": [0.09]}}}
    assert nearest_severity(0.09, level, "motion") == ""  # a severe motion scores no higher than a mild one


def test_the_row_holds_the_percentile_in_each_band_and_what_the_accuracy_of_the_cause_rests_on(reference):
    row = judge(scan(noise=0.2), reference, [])
    for name in ARTEFACTS:
        for band, values in reference["severity"][name].items():
            assert row[f"percentile_{name}_{band}"] == percentile(0.22, values)
    assert len({row[f"percentile_{name}_{band}"] for name in ARTEFACTS for band in ("0-0.5", "0.5-1")}) > 1
    named = reference["cause_accuracy"]["named"]["noise"]
    assert (row["cause_accuracy"], row["cause_accuracy_scans"]) == (named["accuracy"], named["n"])
    assert row["cause_accuracy_subjects"] == 12


def test_a_cause_that_was_never_right_is_0_and_one_that_was_never_named_is_unknown(reference):
    changed = json.loads(json.dumps(reference))
    changed["cause_accuracy"]["named"]["noise"] = {"accuracy": 0.0, "n": 7}
    row = judge(scan(noise=0.2), changed, [])
    assert (row["cause_accuracy"], row["cause_accuracy_scans"]) == (0.0, 7)
    assert "noise (right for 0 % of the 7 validation scans so named, of 12 subjects)." in wording.verdict(row)
    changed["cause_accuracy"]["named"]["none"] = {"accuracy": 0.25, "n": 8}
    clear = wording.verdict(judge(scan(), changed, []))
    assert "no artefact stands out (25 % of the 8 validation scans so called held none, of 12 subjects)." in clear
    changed["cause_accuracy"]["named"]["noise"] = {"accuracy": None, "n": 0}
    changed["severity"]["noise"]["0-0.5"] = []
    row = judge(scan(noise=0.2), changed, [])
    assert math.isnan(row["cause_accuracy"]) and math.isnan(row["percentile_noise_0-0.5"])
    assert "noise (never named on validation scans, of 12 subjects)." in wording.verdict(row)


def test_no_range_of_what_cannot_be_negative_begins_below_0_and_verdicts_are_the_same():
    assert widened(pd.Series([1.0, 9.0, math.nan])) == [0.0, 11.0]
    assert widened(pd.Series([5.0, 9.0])) == [4.0, 10.0]
    clipped = {"gm_volume_ml": widened(pd.Series([100.0, 900.0]))}
    free = {"gm_volume_ml": [-100.0, 1100.0]}
    for volume in (0.0, 1.0, 900.0, 1100.0, 1101.0, math.nan):
        assert out_of_range({"gm_volume_ml": volume}, clipped) == out_of_range({"gm_volume_ml": volume}, free)


def test_what_lies_outside_the_validation_scans_is_said(reference):
    row = judge(scan(gm_volume_ml=60.0, cnr=math.nan), reference, [])
    assert row["unlike_training"] and row["decision"] == "review"
    assert row["unlike_reason"] == "little grey matter (60 mL); no cnr could be measured"
    assert not judge(scan(), reference, [])["unlike_training"]


def test_what_kind_of_scan_it_is_is_ranged_by_clean_and_usable_scans_and_uncertainty_by_all():
    measured = measured_scans()
    severe, mild = measured["severity"] == 0.75, measured["severity"] == 0.25
    measured.loc[severe, "dice:gm"], measured.loc[mild, "dice:gm"] = 0.74, 0.76
    plain = input_ranges(measured, 0.75)
    measured.loc[severe, ["gm_volume_ml", "artefact_uncertainty"]] = 5.0, 9.0
    spoilt = input_ranges(measured, 0.75)
    assert spoilt["gm_volume_ml"] == plain["gm_volume_ml"] and spoilt["artefact_uncertainty"][1] > 9
    measured.loc[mild, "gm_volume_ml"] = 5.0
    assert input_ranges(measured, 0.75)["gm_volume_ml"][0] == 0.0
    assert out_of_range(scan(gm_volume_ml=56.0), spoilt) == ["little grey matter (56 mL)"]
    assert plain["edge_share"] == [0.0, 0.005]
    cut = "grey matter cut by the edge of the field of view (3.6% of it lies there)"
    assert out_of_range(scan(edge_share=0.036), plain) == [cut]
    assert "unlike fluid in a T1-weighted scan" in out_of_range(scan(rim_level=1.1), plain)[0]
    measured.loc[mild, "edge_share"] = 0.04
    assert input_ranges(measured, 0.75)["edge_share"] == plain["edge_share"]  # an artefact may put it there
    measured.loc[measured[measured["artefact"] == "none"].index[0], "edge_share"] = 0.02
    assert input_ranges(measured, 0.75)["edge_share"] == [0.0, pytest.approx(0.025)]


def together(n_subjects=12):
    """Return validation scans in which a brighter head has brighter grey matter, but for a little."""
    rng, measured = np.random.default_rng(2), measured_scans(n_subjects)
    level = rng.uniform(0.2, 0.6, len(measured))
    return measured.assign(head_level=level, grey_level=level * np.exp(0.02 * rng.normal(size=len(measured))))


def test_measures_that_go_together_in_no_validation_scan_are_told_though_each_lies_in_its_range():
    measured = together()
    model = kind_model(measured, ARTEFACTS)
    assert not any(unlike_together(row, model) for row in measured.to_dict("records"))
    usual, odd = scan(head_level=0.5, grey_level=0.5), scan(head_level=0.5, grey_level=0.3)
    assert unlike_together(usual, model) == [] == out_of_range(odd, input_ranges(measured, 0.75))
    told = (
        "measures that do not go together as in clean or usable validation scans, most of all grey level and head level"
    )
    assert unlike_together(odd, model) == [told]
    assert unlike_together(odd, None) == [] == unlike_together(scan(cnr=math.nan), model)
    row = judge(odd, summarise(measured, ARTEFACTS, BANDS, target_dice=0.75, error_rate=0.1), [])
    assert row["unlike_training"] and row["unlike_reason"] == told and row["decision"] == "review"


def test_the_distance_is_mahalanobis_and_its_limit_a_quarter_above_the_farthest_held_out_scan():
    measured = together()
    model, names = kind_model(measured, ARTEFACTS), kind_measures(ARTEFACTS)
    assert names == model["measures"] and len(names) == 8 + len(ARTEFACTS)
    x = np.log(measured[names].to_numpy())
    farthest = 0.0
    for subject in measured["subject"].unique():
        own = (measured["subject"] == subject).to_numpy()
        mean, sd = x[~own].mean(axis=0), np.maximum(x[~own].std(axis=0), 0.05)
        covariance = ledoit_wolf((x[~own] - mean) / sd, assume_centered=True)[0]
        constant = x[~own].std(axis=0) < 1e-9
        assert constant.sum() == 5
        inverse = np.linalg.inv(covariance + np.diag(constant.astype(float)))
        farthest = max(farthest, *(mahalanobis(z, 0 * z, inverse) for z in (x[own] - mean) / sd))
    assert model["threshold"] == pytest.approx(1.25 * farthest, rel=1e-3)


def test_scans_without_all_measures_do_not_count_and_too_few_subjects_have_no_distance():
    holed, one = together(), together(1)
    holed.loc[holed["subject"] == "sub-0", "cnr"] = math.nan
    rest = kind_model(holed[holed["subject"] != "sub-0"], ARTEFACTS)
    assert kind_model(holed, ARTEFACTS) == rest and kind_model(one, ARTEFACTS) is None
    for n_scans in (1, 2):  # of each subject
        few = together(2).groupby("subject").head(n_scans)
        assert not any(unlike_together(row, kind_model(few, ARTEFACTS)) for row in few.to_dict("records"))


def test_the_card_states_the_runs_own_numbers(tmp_path):
    folder = write_tiny_model(tmp_path)
    measured = measured_scans()
    manifest = pd.DataFrame(
        {"role": ["train", "train", "validation"], "anatomy": ["a", "b", "a"], "label_source": ["ANTs Atropos"] * 3}
    )
    (folder / "model.json").write_text(
        json.dumps({**json.loads((folder / "model.json").read_text()), "versions": {"torch": "9.9"}})
    )
    write_model_card(folder, measured, manifest, BANDS, "Heads of nobody (CC0).")
    text = (folder / "MODEL_CARD.md").read_text()
    mean = measured.loc[(measured["artefact"] == "noise") & (measured["severity"] > 0.5), "dice:gm"].mean()
    rho = spearmanr(measured["dice:gm"], measured["artefact_uncertainty"]).statistic
    for part in (
        "| train | 2 | 2 | ANTs Atropos |",
        f"| artefact uncertainty | {rho:.2f} [",
        f"{mean:.2f} (n = 12)",
        "Heads of nobody",
        "torch 9.9",
        "Not for diagnosis",
    ):
        assert part in text, part
