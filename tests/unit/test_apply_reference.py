import json
import math

import numpy as np
import pandas as pd
import pytest
from tiny_model import ARTEFACTS, BANDS, measured_scans, write_tiny_model

from decoupled_qc.analysis.prediction import dice_curve
from decoupled_qc.apply.model_card import write_model_card
from decoupled_qc.apply.reference import cause_accuracy, summarise, widened
from decoupled_qc.apply.verdict import (
    cause_rises,
    judge,
    named_cause,
    nearest_severity,
    out_of_range,
    percentile,
    predicted_dice,
)
from decoupled_qc.errors import InputError
from decoupled_qc.report import wording


@pytest.fixture(scope="module")
def reference():
    return summarise(measured_scans(), ARTEFACTS, BANDS, target_dice=0.75, error_rate=0.1)


def scan(noise=0.02, blur=0.02, **changes):
    """Return what is measured on a scan, by default as on a clean one."""
    total = {"artefact_uncertainty": noise + blur, "uncertainty_noise": noise, "uncertainty_blur": blur}
    rest = {"gm_volume_ml": 600.0, "volume_scale_ml": 40.0, "task_uncertainty": 0.1, "snr": 6.0, "cnr": 2.0}
    kind = {"head_ml": 3000.0, "head_level": 0.4, "head_spread": 0.2, "grey_level": 0.5}
    return {**total, **rest, **kind, **changes}


def test_the_reference_is_json_and_counts_what_stands_behind_it(reference):
    assert json.loads(json.dumps(reference, allow_nan=False)) == reference
    assert (reference["n_scans"], reference["n_subjects"], reference["n_anatomies"]) == (60, 12, 3)
    assert {artefact: list(bands) for artefact, bands in reference["severity"].items()} == {
        name: ["0-0.5", "0.5-1"] for name in ARTEFACTS
    }
    assert all(values == sorted(values) for values in reference["clean"].values())


def test_predicted_dice_is_the_isotonic_fit_and_its_interval_holds_new_subjects_scans(reference):
    measured = measured_scans()
    score, dice = dice_curve(measured)
    assert (np.diff(dice) <= 1e-12).all()
    assert predicted_dice(score[7], reference["dice_model"])[0] == pytest.approx(dice[7])
    new = measured_scans(80)
    new = new[new["subject"].str.removeprefix("sub-").astype(int) >= 12]
    ends = [predicted_dice(value, reference["dice_model"])[1:] for value in new["artefact_uncertainty"]]
    held = np.mean([low <= truth <= high for (low, high), truth in zip(ends, new["dice:gm"], strict=True)])
    assert 0.85 < held <= 1.0


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
    assert found["dice_model"]["half_width"] is None and found["volume_model"]["ratio"] is None
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


def test_the_cause_is_the_head_that_rises_most_over_clean_scans(reference):
    assert judge(scan(), reference, [])["cause"] == "none"
    assert judge(scan(noise=0.2), reference, [])["cause"] == "noise"
    assert judge(scan(blur=0.2, noise=0.05), reference, [])["cause"] == "blur"
    rises = cause_rises(
        {"uncertainty_noise": 1.0, "uncertainty_blur": math.e},
        {"uncertainty_noise": [0.5, 2.0], "uncertainty_blur": [1.0, 1.0]},
        ARTEFACTS,
    )
    assert rises["noise"] == pytest.approx(0.0, abs=1e-9) and rises["blur"] > 1e3
    assert named_cause({"noise": 1.0, "blur": 2.0}, 2.0) == "none"


def test_the_accuracy_of_a_cause_is_counted_on_scans_whose_own_subject_is_left_out():
    found = cause_accuracy(measured_scans(), ARTEFACTS, 0.9)
    assert found["overall"] > 0.9 and found["n"] == 48
    assert sum(one["n"] for one in found["named"].values()) == 60
    assert found["named"]["noise"]["accuracy"] > 0.9
    shuffled = measured_scans()
    corrupted = shuffled["artefact"] != "none"
    swap = {"noise": "blur", "blur": "noise"}
    shuffled.loc[corrupted, "artefact"] = shuffled.loc[corrupted, "artefact"].map(swap)
    assert cause_accuracy(shuffled, ARTEFACTS, 0.9)["overall"] < 0.1  # heads that answer to the other one are wrong


def test_percentiles_and_bands(reference):
    assert [percentile(value, [1.0, 2.0, 3.0, 4.0]) for value in (0.5, 2.0, 2.5, 9.0)] == [0.0, 37.5, 50.0, 100.0]
    weak, strong = (float(np.median(reference["severity"]["noise"][band])) for band in ("0-0.5", "0.5-1"))
    assert nearest_severity(weak, reference, "noise") == "0-0.5"
    assert nearest_severity(strong, reference, "noise") == "0.5-1"
    assert nearest_severity(0.04, reference, "none") == "clean"


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
    for part in (
        "| train | 2 | 2 | ANTs Atropos |",
        f"{mean:.2f} (n = 12)",
        "Heads of nobody",
        "torch 9.9",
        "Not for diagnosis",
    ):
        assert part in text, part
