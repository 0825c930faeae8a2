"""What scores.csv holds of a scan: every score of the leaderboard, or why there is none."""

import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch

from decoupled_qc import measures
from decoupled_qc.analysis.scores import one_row_a_scan, read_scores
from decoupled_qc.errors import InputError
from decoupled_qc.evaluation import scoring
from decoupled_qc.evaluation.scoring import score_condition
from decoupled_qc.predictions import Prediction, write_prediction
from decoupled_qc.scan_table import read_scan_table

SHAPE = (40, 42, 38)
HEADS = ("task", "noise", "blur")
KNOWN = {"model": "student", "replicate": 0, "dilation_voxels": 1, "stand_in_rating_cuts": None}
SCORES = {
    *(
        ("artefact_uncertainty", name)
        for name in ("mean", "gm_mean", "gm_only", "per_gm", "off_boundary", "top_5_percent", "patch_max")
    ),
    *((f"variance_{head}", "mean") for head in HEADS),
    *((name, mask) for name in ("snr", "cnr", "cjv") for mask in ("reference", "predicted")),
    *((name, "scan") for name in ("efc", "fber", "fwhm_mm", "edge_strength", "gradient_entropy")),
    ("snrd", "reference"),
    ("wm2max", "reference"),
    ("entropy", "mean"),
}


def scored(folder, change, subject="sub-1"):
    """Scores of a ball of grey round white matter in noisy air, after a change to image, labels or prediction."""
    rng = np.random.default_rng(0)
    radius = np.linalg.norm(np.indices(SHAPE).T - np.array(SHAPE) / 2, axis=-1).T
    dseg = np.select([radius < 8, radius < 14], [3, 2], 0).astype(np.uint8)
    image = np.select([dseg == 3, dseg == 2], [0.9, 0.5], 0.0)
    image = np.hypot(image + rng.normal(0, 0.02, SHAPE), rng.normal(0, 0.02, SHAPE)).astype(np.float32)
    image, dseg, found = change(image, dseg, dseg == 2)
    row = {"subject": subject, "scan": f"{subject}_x", "condition": "sim-noise", "artefact": "noise", "severity": 0.5}
    row |= {"image": "x.nii.gz", "dseg": "y.nii.gz", "records": json.dumps([])}
    pd.DataFrame([row]).to_csv(folder / "scans.tsv", sep="\t", index=False)
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    nib.save(nib.Nifti1Image(image, affine), folder / "x.nii.gz")
    nib.save(nib.Nifti1Image(dseg, affine), folder / "y.nii.gz")
    label = torch.from_numpy(found.astype(np.uint8))
    maps = {head: torch.full(SHAPE, 0.1) for head in HEADS}
    write_prediction(folder, f"{subject}_x", Prediction(label.float() * 0.9, label, maps), affine)
    table = score_condition(folder / "scans.tsv", folder, **KNOWN)
    return table.set_index(["metric", "aggregation"])


def as_it_is(image, dseg, found):
    return image, dseg, found


def brain_extracted(image, dseg, found):
    return np.where(dseg > 0, image, 0).astype(np.float32), dseg, found


def defaced(image, dseg, found):
    image[:, 34:] = 0
    return image, dseg, found


def blind(image, dseg, found):
    return image, dseg, np.zeros_like(found)


def no_white_matter(image, dseg, found):
    return image, np.where(dseg == 3, 0, dseg), found


def no_brain(image, dseg, found):
    return image, np.zeros_like(dseg), found


def constant(image, dseg, found):
    return np.ones_like(image), dseg, found


def test_every_score_of_the_leaderboard_is_there(tmp_path):
    table = scored(tmp_path, as_it_is)
    assert set(table.index) >= SCORES
    assert table.loc[sorted(SCORES), "value"].notna().all() and (table["note"] == "").all()
    assert table.loc[("dice", "gm"), "value"] == 1
    # The network is right here, so its masks say the same as the reference's.
    for name in ("snr", "cnr", "cjv"):
        assert table.loc[(name, "predicted"), "value"] == pytest.approx(
            table.loc[(name, "reference"), "value"], rel=0.05
        )
    assert table.loc[("artefact_uncertainty", "mean"), "value"] == pytest.approx(0.2, rel=1e-3)  # the task's left out


def test_a_score_must_not_have_the_name_of_what_is_none(monkeypatch):
    monkeypatch.setattr(measures, "with_function", lambda function: ["dice"])
    with pytest.raises(InputError, match="measures/dice.py has the name of what is no score"):
        next(scoring._scores(None))


def test_surfaces_and_probabilities_are_judged_in_voxels_of_the_scan_and_in_the_brain(tmp_path):
    table = scored(tmp_path, lambda image, dseg, found: (image, dseg, np.roll(found, 1, axis=0)))["value"]
    assert table["hausdorff_95_mm", "gm"] == 4.0 and table["surface_dice", "gm"] == 1.0  # one voxel of 4 mm
    right = scored(tmp_path, as_it_is)["value"]
    p = float(np.float16(0.9))  # of grey matter where it was found, 0 elsewhere, as on disk
    radius = np.linalg.norm(np.indices(SHAPE).T - np.array(SHAPE) / 2, axis=-1).T
    share = ((radius >= 8) & (radius < 14)).sum() / (radius < 14).sum()  # of the brain, not of the volume
    assert right["hausdorff_95_mm", "gm"] == 0 and right["surface_dice", "gm"] == 1
    assert right["calibration_error", "brain"] == pytest.approx(share * (1 - p))
    assert right["brier", "brain"] == pytest.approx(share * (1 - p) ** 2, rel=1e-4)
    assert right["log_loss_nats", "brain"] == pytest.approx(
        -share * np.log(p) - (1 - share) * np.log(1 - 2**-12), rel=1e-4
    )
    assert right["error_overlap", "brain"] == 1  # nothing is uncertain, nothing wrong


def test_a_subject_named_by_a_number_keeps_its_name_from_the_condition_to_the_wide_table(tmp_path):
    scored(tmp_path, as_it_is, subject="0001").reset_index().to_csv(tmp_path / "part.csv", index=False)
    read_scan_table(tmp_path / "part.csv").to_csv(tmp_path / "scores.csv", index=False)  # as they are gathered
    subjects = pd.DataFrame({"subject": ["0001"], "anatomy": ["0001"]})
    wide = one_row_a_scan(read_scores(tmp_path / "scores.csv"), subjects)
    assert wide[["subject", "scan", "anatomy"]].values.tolist() == [["0001", "0001_x", "0001"]]


def test_a_part_of_the_scores_is_written_as_it_was_read(tmp_path):
    part = "subject,scan,replicate,severity,value,note\n0001,NA,0,,0.8579236534734411,\n1e3,0002,1,0.5,,blind\n"
    (tmp_path / "part.csv").write_text(part)
    assert read_scan_table(tmp_path / "part.csv").to_csv(index=False) == part


@pytest.mark.parametrize(
    ("change", "lost", "reason"),
    [
        (brain_extracted, [("fber", "scan"), ("snrd", "reference")], "no signal in it|no noise in the air"),
        (defaced, [("fber", "scan"), ("snrd", "reference")], "defaced"),
        (blind, [("snr", "predicted"), ("cnr", "predicted"), ("cjv", "predicted")], "no voxel"),
        (blind, [("hausdorff_95_mm", "gm")], "or none was found"),
        (
            no_brain,
            [(name, "brain") for name in ("calibration_error", "brier", "log_loss_nats", "error_overlap")],
            "is brain",
        ),
        (
            blind,
            [("artefact_uncertainty", name) for name in ("gm_mean", "gm_only", "per_gm")],
            "no voxel was called grey",
        ),
        (no_white_matter, [("cnr", "reference"), ("cjv", "reference"), ("wm2max", "reference")], "no voxel"),
        (constant, [("snr", "reference"), ("cnr", "reference"), ("cjv", "reference")], "all alike|no contrast"),
        (
            constant,
            [("gradient_entropy", "scan"), ("edge_strength", "scan"), ("fwhm_mm", "scan")],
            "constant|edge|no head",
        ),
    ],
)
def test_a_measure_that_cannot_be_taken_is_missing_with_the_reason(tmp_path, change, lost, reason):
    table = scored(tmp_path, change)
    assert table.loc[lost, "value"].isna().all()
    assert table.loc[lost, "note"].str.contains(reason).all()
    assert (table["value"].notna() | table["note"].ne("")).all()
