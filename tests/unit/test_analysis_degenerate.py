"""Runs that lack something: each table states its numbers or why there are none, or one sentence what to correct."""

import numpy as np
import pandas as pd
import pytest

from decoupled_qc.analysis.additivity import additivity
from decoupled_qc.analysis.correlation import correlate
from decoupled_qc.analysis.decoupling import decoupling
from decoupled_qc.analysis.difference import difference
from decoupled_qc.analysis.leaderboard import leaderboard
from decoupled_qc.analysis.localisation import localisation
from decoupled_qc.analysis.outside import outside_changes
from decoupled_qc.analysis.prediction import decision_coverage, decisions
from decoupled_qc.analysis.rank_ranges import rank_ranges
from decoupled_qc.analysis.real import real_artefacts
from decoupled_qc.analysis.regression import ridge_dice
from decoupled_qc.analysis.replicates import replicates
from decoupled_qc.analysis.risk_coverage import risk_coverage
from decoupled_qc.analysis.scores import COLUMNS, read_scores
from decoupled_qc.analysis.segmentation import segmentation
from decoupled_qc.analysis.severity import severity_trend
from decoupled_qc.analysis.variance_dice import variance_dice
from decoupled_qc.analysis.volumes import volumes
from decoupled_qc.analysis.working_point import working_points
from decoupled_qc.errors import InputError

ARTEFACTS = ("blur", "noise")
DRAWS = {"n_boot": 40, "seed": 1}
CUTS = [0.5, 0.7, 0.9]


def whole_run(n_subjects=5, n_validation=4):
    """Scores of every condition that a run has, and the subjects."""
    rng, rows = np.random.default_rng(0), []
    plan = [("clean", "none", 0.0), ("sim-blur", "blur", 0.5), ("sim-noise", "noise", 0.8), ("mix", "blur+noise", 0.8)]
    plan += [("sweep-noise", "noise", level) for level in (0.2, 0.5, 0.9)]
    plan += [("real", "torchio-noise", np.nan), ("real", "torchio-motion", np.nan)]
    people = [(f"sub-{index}", plan) for index in range(n_subjects)]
    people += [(f"sub-v{index}", [("validation", *kind[1:]) for kind in plan[:3]]) for index in range(n_validation)]
    for subject, scans in people:
        for number, (condition, artefact, severity) in enumerate(scans):
            dice = 0.9 - 0.4 * np.nan_to_num(severity, nan=rng.uniform()) + rng.normal(0, 0.03)
            values = {
                ("dice", "gm"): dice,
                ("artefact_uncertainty", "mean"): 0.1 * np.exp(-2 * dice + rng.normal(0, 0.1)),
                ("entropy", "mean"): 1 - dice + rng.normal(0, 0.1),
                ("snr", "reference"): 5 * dice + rng.normal(),
                ("snr", "predicted"): 5 * dice + rng.normal(),
                ("hausdorff_95_mm", "gm"): 10 * (1 - dice),
                ("brier", "brain"): 0.3 * (1 - dice),
                ("volume_ml", "gm"): 600 + 30 * rng.normal(),
                ("reference_volume_ml", "gm"): 600.0,
                ("volume_variance_ml", "gm"): 100 + 20 * rng.uniform(),
                ("volume_variance_ml", "above_certain"): 20 * rng.uniform(),
                ("volume_sd_ml", "gm"): 400 + 30 * rng.uniform(),
            }
            values["artefact_uncertainty", "per_gm"] = 8 * values["artefact_uncertainty", "mean"]
            for head in ("task", *ARTEFACTS):
                values[f"variance_{head}", "mean"] = np.exp(1.0 * (head == artefact) + rng.normal(0, 0.2))
            if condition == "sim-blur":
                values |= {("share_inside", name): rng.uniform() for name in (*ARTEFACTS, "task", "volume")}
            if condition == "real":
                values["rating", "stand_in"] = float(1 + np.searchsorted([0.5, 0.6, 0.7], dice))
            base = (subject, f"{subject}-{number}", "student", 0, condition, artefact, severity)
            rows += [(*base, *key, value) for key, value in values.items()]
    scores = pd.DataFrame(rows, columns=list(COLUMNS))
    return scores, pd.DataFrame({"subject": [name for name, _ in people], "anatomy": "s1", "role": "test"})


def tables_of(scores, subjects):
    """Every table of the analysis."""
    run = scores, subjects
    found = {
        "correlation": correlate(*run, n_permutations=19, **DRAWS),
        "difference": difference(*run, **DRAWS),
        "decoupling": decoupling(*run, **DRAWS),
        "additivity": additivity(*run, **DRAWS),
        "localisation": localisation(*run, **DRAWS),
        "severity": severity_trend(*run, **DRAWS),
        "outside": outside_changes(*run, **DRAWS),
        "risk": risk_coverage(*run, dice_cuts=CUTS, **DRAWS),
        "working_points": working_points(*run, dice_cuts=CUTS, **DRAWS),
        "segmentation": segmentation(*run, **DRAWS),
        "volumes": volumes(*run, voxel_ml=0.008, **DRAWS),
        "decisions": decisions(*run, target_dice=0.7, error_rate=0.3),
        "replicates": replicates(*run),
        "real": real_artefacts(*run, **DRAWS),
        "ridge": ridge_dice(scores),
        "variance_dice": variance_dice(scores),
    }
    found["decision_coverage"] = decision_coverage(found["decisions"], **DRAWS)
    found["ranks"] = rank_ranges(*run, **DRAWS)
    board = found["correlation"], found["risk"], found["replicates"], found["ranks"]
    return found | {"leaderboard": leaderboard(*board, dice_cut=0.7)}


# What each table promises a number or a reason for; its other columns are empty by design, as its docstring says.
PROMISED = {
    "correlation": ["rho", "ci_low", "ci_high", "p", "bca_low", "bca_high", "tau_b", "tau_low", "tau_high", "p_iid"],
    "difference": [
        "difference",
        "ci_low",
        "ci_high",
        "bca_low",
        "bca_high",
        "p",
        "p_holm",
        "p_williams",
        "p_steiger",
        "zou_low",
    ],
    "decoupling": ["value", "ci_low", "ci_high"],
    "additivity": ["value", "ci_low", "ci_high"],
    "localisation": ["value", "ci_low", "ci_high"],
    "severity": ["tau", "ci_low", "ci_high", "share_increasing", "page_l", "page_p"],
    "segmentation": ["value", "ci_low", "ci_high"],
    "outside": ["change_sd", "ci_low", "ci_high", "share_beyond_clean"],
    "risk": ["value", "ci_low", "ci_high"],
    "working_points": ["value", "ci_low", "ci_high", "threshold"],
    "volumes": ["coverage", "ci_low", "ci_high", "width_ml", "interval_score_ml"],
    "decisions": ["predicted_dice", "low", "high"],
    "decision_coverage": ["coverage", "ci_low", "ci_high"],
    "ranks": ["rank_low", "rank_high", "share_first"],
    "replicates": ["rho_mean", "rho_seed_sd"],
    "real": ["value", "ci_low", "ci_high"],
    "ridge": ["value"],
    "variance_dice": ["value"],
    "leaderboard": ["rho", "ci_low", "ci_high", "aurc", "e_aurc", "augrc", "auroc", "rho_seed_sd", "rank_low"],
}


def with_values(scores, metrics, value):
    return scores.assign(value=scores["value"].where(~scores["metric"].isin(metrics), value))


def one_scan_missing(scores):
    return scores.assign(value=scores["value"].where(scores["scan"] != "sub-1-2"))


RUNS = {
    "as it should be": lambda scores: scores,
    "constant scores": lambda scores: with_values(
        scores, ["artefact_uncertainty", "entropy", "snr", "variance_noise", "variance_blur"], 0.5
    ),
    "one constant score": lambda scores: with_values(scores, ["snr"], 0.5),
    "Dice all equal": lambda scores: with_values(scores, ["dice"], 0.8),
    "ratings all equal": lambda scores: with_values(scores, ["rating"], 2.0),
    "empty masks": lambda scores: with_values(with_values(scores, ["dice", "volume_ml"], 0.0), ["snr"], np.nan),
    "maps of zeros": lambda scores: with_values(
        scores, ["artefact_uncertainty", "variance_noise", "variance_blur", "variance_task"], 0.0
    ),
    "a score that is never known": lambda scores: with_values(scores, ["entropy"], np.nan),
    "a scan without any value": one_scan_missing,
    "one test subject": lambda scores: scores[scores["subject"].isin(["sub-0", "sub-v0", "sub-v1"])],
    "one subject in all": lambda scores: scores[scores["subject"] == "sub-0"],
    "no clean scan": lambda scores: scores[scores["condition"] != "clean"],
    "clean scans alone": lambda scores: scores[scores["condition"] == "clean"],
    "no validation subject": lambda scores: scores[scores["condition"] != "validation"],
    "validation subjects alone": lambda scores: scores[scores["condition"] == "validation"],
    "two scans": lambda scores: scores[scores["scan"].isin(["sub-0-1", "sub-1-2"])],
    "a copy of ours": lambda scores: pd.concat(
        [scores, scores[scores["metric"] == "artefact_uncertainty"].assign(metric="copy")]
    ),
    "a second clean scan": lambda scores: pd.concat(
        [scores, scores[scores["condition"] == "clean"].assign(scan=lambda table: table["scan"] + "-again")]
    ),
}


@pytest.mark.filterwarnings("error")  # a warning is how NumPy, SciPy and pandas tell of a silent NaN
@pytest.mark.parametrize("name", RUNS)
def test_no_table_of_a_degenerate_run_has_a_silent_gap(name):
    scores, subjects = whole_run()
    for table, found in tables_of(RUNS[name](scores), subjects).items():
        missing = found[PROMISED[table]].isna().any(axis=1)
        silent = found[missing & (found["note"].fillna("") == "")]
        assert silent.empty, f"{table}:\n{silent.iloc[:5].to_string()}"
        numbers = found.select_dtypes("number")
        assert not np.isinf(numbers.to_numpy(dtype=float)).any(), table


def test_a_scan_given_twice_is_named(tmp_path):
    scores, _ = whole_run()
    again = scores[scores["scan"] == "sub-1-2"]
    pd.concat([scores, again]).to_csv(tmp_path / "scores.csv", index=False)
    with pytest.raises(InputError, match=f"row {len(scores) + 2}: gives the same model, replicate, scan"):
        read_scores(tmp_path / "scores.csv")
