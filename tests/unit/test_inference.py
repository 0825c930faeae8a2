import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch

from decoupled_qc.analysis.scores import COLUMNS
from decoupled_qc.errors import InputError
from decoupled_qc.evaluation.scoring import score_condition
from decoupled_qc.inference import predict
from decoupled_qc.models import load_model, save_model
from decoupled_qc.network import DecoupledUNet
from decoupled_qc.predictions import Prediction, read_prediction, write_prediction

SHAPE = {
    "causes": ["task", "noise"],
    "channels": [4, 8],
    "head_channels": 0,
    "start_log_variance": {"task": -2.0, "artefact": -4.0},
}
PLAIN = {"precision": "float32", "mirror": False}


class Echo(torch.nn.Module):
    """A network whose logits and log-variances are known functions of the image."""

    causes = ("task", "noise")

    def __init__(self):
        super().__init__()
        self.anchor = torch.nn.Parameter(torch.zeros(1))

    def forward(self, image):
        logits = torch.cat([-image, image], dim=1)
        return logits, torch.cat([image, 2 * image], dim=1)


@pytest.mark.parametrize("shape", [(20, 25, 31), (16, 16, 16), (9, 40, 18)])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5])
def test_windows_leave_no_seam(shape, overlap):
    """Variances are blended as exp(s), logits as they are, and the probability is softmax(f / (total + epsilon))."""
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    found = predict(Echo(), image, epsilon=0.1, patch_size=16, overlap=overlap, batch_size=2, **PLAIN)
    task, noise = image.exp(), (2 * image).exp()
    assert torch.allclose(found.variance["task"], task, atol=1e-5)
    assert torch.allclose(found.variance["noise"], noise, atol=1e-5)
    assert torch.allclose(found.probability, torch.sigmoid(2 * image / (task + noise + 0.1)), atol=1e-5)


def test_bfloat16_stays_close_to_float32():
    torch.manual_seed(0)
    network = DecoupledUNet(**SHAPE).eval()
    image = torch.rand(16, 16, 16)
    settings = {"epsilon": 0.1, "patch_size": 16, "overlap": 0.0, "batch_size": 1, "mirror": False}
    exact, fast = (predict(network, image, **settings, precision=kind) for kind in ("float32", "bfloat16"))
    assert not torch.equal(exact.log_odds, fast.log_odds) and fast.log_odds.dtype == torch.float32
    assert torch.allclose(exact.log_odds, fast.log_odds, atol=0.05 * exact.log_odds.abs().max())
    assert torch.allclose(exact.variance["noise"], fast.variance["noise"], rtol=0.05)


def test_a_mirrored_scan_is_given_mirrored_maps_when_asked():
    torch.manual_seed(0)
    network = DecoupledUNet(**SHAPE).eval()
    image = torch.rand(24, 20, 16)
    settings = {"epsilon": 0.1, "patch_size": 16, "overlap": 0.25, "batch_size": 2, "precision": "float32"}
    both, mirrored = (predict(network, see, **settings, mirror=True) for see in (image, image.flip(0)))
    alone, other = (predict(network, see, **settings, mirror=False) for see in (image, image.flip(0)))
    assert torch.allclose(both.log_odds, mirrored.log_odds.flip(0), atol=1e-6)
    assert torch.allclose(both.log_odds, (alone.log_odds + other.log_odds.flip(0)) / 2, atol=1e-6)
    for cause, variance in both.variance.items():
        assert torch.allclose(variance, mirrored.variance[cause].flip(0), atol=1e-6)
        assert torch.allclose(variance, (alone.variance[cause] + other.variance[cause].flip(0)) / 2, atol=1e-6)
    assert not torch.allclose(alone.log_odds, other.log_odds.flip(0), atol=1e-3)  # else there is nothing to mend


def test_scaling_the_logits_does_not_change_the_label():
    image = torch.rand(16, 16, 16) - 0.5
    found = predict(Echo(), image, epsilon=0.1, patch_size=16, overlap=0.0, batch_size=1, **PLAIN)
    assert torch.equal(found.label.bool(), image > 0)


def test_model_folder_round_trip_and_its_messages(tmp_path):
    network = DecoupledUNet(**SHAPE).eval()
    save_model(tmp_path, network, {"network": SHAPE, "epsilon": 0.05})
    again, card = load_model(tmp_path)
    image = torch.rand(1, 1, 16, 16, 16)
    assert torch.equal(network(image)[0], again(image)[0]) and card["epsilon"] == 0.05
    assert not any(parameter.requires_grad for parameter in again.parameters())
    (tmp_path / "model.json").write_text(json.dumps({"network": {**SHAPE, "channels": [8, 16]}, "epsilon": 0.05}))
    with pytest.raises(InputError, match="weights.safetensors does not fit"):
        load_model(tmp_path)
    (tmp_path / "weights.safetensors").unlink()
    with pytest.raises(InputError, match="weights.safetensors is missing"):
        load_model(tmp_path)


@pytest.fixture
def scored(tmp_path):
    """One scan, half grey and half white matter, and a prediction that misses a quarter of the grey."""
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    dseg = np.full((8, 8, 8), 3, dtype=np.uint8)
    dseg[:4] = 2
    probability = torch.zeros(8, 8, 8)
    probability[:3] = 0.9
    variance = {"task": torch.full((8, 8, 8), 0.5), "noise": torch.full((8, 8, 8), 0.25), "blur": torch.ones(8, 8, 8)}
    nib.save(nib.Nifti1Image(np.where(dseg == 2, 0.4, 0.8).astype(np.float32), affine), tmp_path / "image.nii.gz")
    nib.save(nib.Nifti1Image(dseg, affine), tmp_path / "dseg.nii.gz")
    write_prediction(tmp_path, "sub-x_clean", Prediction(probability, probability, variance), affine)
    row = {"scan": "sub-x_clean", "subject": "sub-x", "condition": "clean", "artefact": "none", "severity": 0}

    def score(cuts=None, records="[]"):
        table = pd.DataFrame([{**row, "image": "image.nii.gz", "dseg": "dseg.nii.gz", "records": records}])
        table.to_csv(tmp_path / "scans.tsv", sep="\t", index=False)
        found = score_condition(
            tmp_path / "scans.tsv",
            tmp_path,
            model="student",
            replicate=0,
            dilation_voxels=2,
            stand_in_rating_cuts=cuts,
        )
        return found, found.set_index(["metric", "aggregation"]).value

    return score


def test_scores_by_hand(scored):
    table, value = scored()
    assert list(table.columns) == [*COLUMNS, "note"]  # the reason, where there is no number
    assert (table["value"].notna() == (table["note"] == "")).all()
    assert value["dice", "gm"] == pytest.approx(2 * 3 / (3 + 4))
    assert value["volume_ml", "gm"] == pytest.approx(3 * 64 * 8 / 1000)
    assert value["reference_volume_ml", "gm"] == pytest.approx(4 * 64 * 8 / 1000)
    assert value["artefact_uncertainty", "mean"] == pytest.approx(1.25)  # the task's 0.5 is left out
    assert value["variance_task", "mean"] == pytest.approx(0.5)
    assert ("rating", "stand_in") not in value


def test_the_share_inside_is_that_of_the_part_with_the_artefact(scored):
    local = {"axis": 0, "centre": 0.4, "width": 0.1, "far_side": False}
    record = {"artefact": "noise", "severity": 0.5, "local": local}
    assert not any(
        metric == "share_inside" for metric, _ in scored(records=json.dumps([{**record, "local": None}]))[1].index
    )
    value = scored(records=json.dumps([record]))[1]
    for name in ("volume", "noise", "blur", "task"):  # flat maps: 3 of 8 voxels' centres lie before 0.4
        assert value["share_inside", name] == pytest.approx(3 / 8)


def test_stand_in_rating_steps_at_the_cuts(scored):
    dice = 6 / 7
    for cuts, rating in ([[0.9, 0.95, 0.99], 1], [[dice, 0.95, 0.99], 2], [[0.1, 0.2, 0.99], 3], [[0.1, 0.2, 0.3], 4]):
        assert scored(cuts)[1]["rating", "stand_in"] == rating


def test_maps_keep_the_affine_and_nearly_the_values(tmp_path):
    affine = np.array([[0, -2, 0, 3], [2, 0, 0, -5], [0, 0, 2, 7], [0, 0, 0, 1.0]])
    values = torch.rand(5, 6, 7) * 50
    write_prediction(tmp_path, "scan", Prediction(torch.rand(5, 6, 7), torch.zeros(5, 6, 7), {"task": values}), affine)
    saved = nib.load(tmp_path / "scan_desc-task_variance.nii.gz")
    assert np.array_equal(saved.affine, affine)
    assert np.allclose(saved.get_fdata(), values, rtol=1e-3)
    assert read_prediction(tmp_path, "scan")[2].keys() == {"task"}
