"""Surfaces and calibration of a prediction against numbers taken by hand, MONAI's and scikit-learn's."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from monai.metrics import compute_hausdorff_distance
from scipy import ndimage
from sklearn.metrics import brier_score_loss, log_loss

from decoupled_qc.analysis.scores import COLUMNS
from decoupled_qc.analysis.segmentation import segmentation
from decoupled_qc.evaluation import calibration
from decoupled_qc.evaluation.surfaces import SurfaceDistances

SPACING_MM = (1.0, 2.0, 1.5)


def blob(seed):
    return ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(24, 22, 20)), 3) > 0.01


def test_a_shifted_cube_is_as_far_as_it_was_moved():
    cube = np.zeros((20, 20, 20), bool)
    cube[5:12, 5:12, 5:12] = True
    moved = SurfaceDistances(cube, np.roll(cube, 3, axis=1), SPACING_MM)
    assert moved.hausdorff_95_mm() == 6.0
    same = SurfaceDistances(cube, cube, SPACING_MM)
    assert same.hausdorff_95_mm() == 0 and same.normalised_surface_dice(0.5) == 1
    assert SurfaceDistances(cube, np.roll(cube, 1, axis=0), SPACING_MM).normalised_surface_dice(1.0) == 1
    assert SurfaceDistances(cube, np.roll(cube, 1, axis=0), SPACING_MM).normalised_surface_dice(0.9) < 1


def test_hausdorff_95_is_monais():
    first, second = blob(0), blob(1)
    both = (torch.from_numpy(mask)[None, None].float() for mask in (first, second))
    expected = compute_hausdorff_distance(*both, include_background=True, percentile=95, spacing=SPACING_MM)
    assert SurfaceDistances(first, second, SPACING_MM).hausdorff_95_mm() == pytest.approx(float(expected), abs=0.05)


def test_empty_masks_have_no_distance_and_agree_only_with_each_other():
    empty, full = np.zeros((8, 8, 8), bool), np.ones((8, 8, 8), bool)
    assert math.isnan(SurfaceDistances(empty, full, SPACING_MM).hausdorff_95_mm())
    assert SurfaceDistances(empty, full, SPACING_MM).normalised_surface_dice(1.0) == 0
    assert SurfaceDistances(empty, empty, SPACING_MM).normalised_surface_dice(1.0) == 1


def test_a_map_that_says_how_often_it_is_right_has_no_calibration_error():
    rng = np.random.default_rng(0)
    probability = rng.uniform(size=200_000)
    truth = rng.uniform(size=200_000) < probability
    assert calibration.expected_calibration_error(probability, truth) < 0.005
    extreme = np.where(probability > 0.5, 0.99, 0.01)  # right as often as before, but sure of it
    wrong = np.mean((extreme > 0.5) != truth)
    assert calibration.expected_calibration_error(extreme, truth) == pytest.approx(wrong - 0.01, abs=0.005)
    assert calibration.expected_calibration_error(np.ones(4), np.array([1, 1, 0, 1], bool)) == 0.25


def test_brier_and_log_loss_are_scikit_learns():
    rng = np.random.default_rng(1)
    probability, truth = rng.uniform(size=500), rng.uniform(size=500) < 0.4
    assert calibration.brier_score(probability, truth) == pytest.approx(brier_score_loss(truth, probability))
    assert calibration.negative_log_likelihood(probability, truth) == pytest.approx(log_loss(truth, probability))
    # What is surely wrong costs alike on either side, and no more than a map on disk can say.
    for sure in (0.0, 1e-6, 0.99999, 1.0):
        on_disk, wrong = np.array([sure]).astype(np.float16).astype(np.float32), np.array([sure < 0.5])
        assert calibration.negative_log_likelihood(on_disk, wrong) == pytest.approx(12 * math.log(2), rel=1e-3)


def test_overlap_of_uncertain_and_wrong_voxels_by_hand():
    probability = np.array([0.5, 0.3, 0.9, 0.02, 0.99, 0.6])  # uncertain: 0.5, 0.3, 0.6
    truth = np.array([1, 0, 0, 0, 1, 0], bool)  # wrong: 0.5 (not above), 0.9, 0.6
    assert calibration.uncertainty_error_overlap(probability, truth) == pytest.approx(2 * 2 / (3 + 3))


def test_means_of_each_kind_of_scan_with_the_bias_of_the_volume():
    rows = []
    for index in range(8):
        for condition, artefact, dice in (("clean", "none", 0.9), ("sim-noise", "noise", 0.5), ("mix", "noise", 0.1)):
            values = {"dice": dice + 0.01 * index, "volume_ml": 600 * dice, "reference_volume_ml": 600.0}
            base = (f"sub-{index}", f"sub-{index}_{condition}", "student", 0, condition, artefact, 0.5)
            rows += [(*base, name, "gm", value) for name, value in values.items()]
            rows.append((*base, "hausdorff_95_mm", "gm", np.nan if index == 0 else 10 * (1 - dice)))
    scores = pd.DataFrame(rows, columns=list(COLUMNS))
    subjects = pd.DataFrame({"subject": scores["subject"].unique(), "anatomy": "s1", "role": "test"})
    table = segmentation(scores, subjects, n_boot=200, seed=1)
    found = table.set_index(["scans", "measure"])
    assert list(found.index.unique("scans")) == ["all", "clean", "noise"]
    assert found.loc[("clean", "dice"), "value"] == pytest.approx(0.935)
    assert found.loc[("all", "dice"), "value"] == pytest.approx((0.935 + 0.535) / 2)
    assert found.loc[("noise", "volume_bias_percent"), "value"] == pytest.approx(-50)
    noise = found.loc[("noise", "dice")]
    assert 0.5 < noise["ci_low"] < noise["value"] < noise["ci_high"] < 0.57
    distance = found.loc[("noise", "hausdorff_95_mm")]
    assert (distance["value"], distance["n_scans"], distance["n_subjects"]) == (pytest.approx(5), 7, 7)
    assert "1 of 8 scans left out" in distance["note"] and np.isnan(distance["ci_low"])
