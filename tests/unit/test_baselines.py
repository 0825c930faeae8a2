"""Several looks at one scan: how far they disagree, and what reaches the table of scores."""

import itertools
import math

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch

from decoupled_qc.analysis.scores import COLUMNS
from decoupled_qc.evaluation import baselines
from decoupled_qc.evaluation.baselines import score_baseline
from decoupled_qc.evaluation.evidence import Looks
from decoupled_qc.evaluation.metrics import dice, entropy
from decoupled_qc.inference import predict
from decoupled_qc.measures import iou, pairwise_dice, structure_entropy, volume_cv
from decoupled_qc.models import load_model, save_model
from decoupled_qc.network import DecoupledUNet
from decoupled_qc.seeds import rng_for

SHAPE = {"channels": [4, 8], "head_channels": 0, "start_log_variance": {"task": -2.0, "artefact": -1.0}}
INFERENCE = {"patch_size": 16, "overlap": 0.0, "batch_size": 1, "precision": "float32", "mirror": False}
AUGMENTATION = {"flip_probability": [1.0, 0.0, 1.0], "bias_order": 2, "bias_coefficient": 0.3, "rotation_deg": 10.0}


def slabs(*planes):
    """Segmentations of a 10-plane volume, each from the first plane to one of its own."""
    labels = np.zeros((len(planes), 10, 4, 4), bool)
    for label, last in zip(labels, planes, strict=True):
        label[:last] = True
    return labels


def test_roys_measures_of_nested_slabs():
    """Of slabs of 4, 5 and 6 planes: |A and B| is the smaller, |A or B| the larger."""
    looks = Looks(slabs(4, 5, 6), np.array([0.9, 0.6, 0.4, 0.0]), 0.0)
    assert pairwise_dice.compare(looks) == pytest.approx((8 / 9 + 8 / 10 + 10 / 11) / 3)
    assert iou.compare(looks) == pytest.approx(4 / 6)
    assert volume_cv.compare(looks) == pytest.approx(1 / 5)
    assert structure_entropy.compare(looks) == pytest.approx(entropy(np.array([0.9, 0.6])).mean())


def test_roys_measures_where_all_agree_and_where_nothing_was_found():
    same, none = (Looks(slabs(planes, planes), np.zeros((2, 2, 2)), 0.0) for planes in (5, 0))
    assert (pairwise_dice.compare(same), iou.compare(same), volume_cv.compare(same)) == (1, 1, 0)
    assert pairwise_dice.compare(none) == 1
    assert all(math.isnan(measure.compare(none)) for measure in (iou, volume_cv, structure_entropy))


def test_a_view_is_turned_back_to_where_it_was():
    image = torch.rand(6, 7, 8)
    seen, back = baselines._view(image, AUGMENTATION | {"bias_coefficient": 0.0}, rng_for(0, "view"))
    assert torch.allclose(seen, (image - image.min()).div(image.max() - image.min()).flip(0, 2), atol=1e-6)
    assert torch.equal(back(seen.flip(0, 2)), seen)
    biased, _ = baselines._view(image, AUGMENTATION, rng_for(0, "view"))
    assert not torch.allclose(biased, seen, atol=1e-2)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A condition of two scans, and three networks: two alike in kind, one that drops channels."""
    folder = tmp_path_factory.mktemp("baselines")
    rows = []
    for number in (0, 1):
        image = np.random.default_rng(number).random((16, 16, 16), dtype=np.float32)
        nib.save(nib.Nifti1Image(image, np.eye(4)), folder / f"{number}.nii.gz")
        nib.save(nib.Nifti1Image(2 * (image > 0.5).astype(np.uint8), np.eye(4)), folder / f"{number}_dseg.nii.gz")
        rows.append(
            (f"sub-{number}", f"scan-{number}", "clean", "none", None, f"{number}.nii.gz", f"{number}_dseg.nii.gz")
        )
    columns = ["subject", "scan", "condition", "artefact", "severity", "image", "dseg"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "scans.tsv", sep="\t", index=False)
    for name, changes in {"one": {}, "two": {}, "dropping": {"dropout": 0.5}}.items():
        card = {"network": {"causes": ["total"], **SHAPE, **changes}, "epsilon": 0.05}
        torch.manual_seed(sum(map(ord, name)))
        (folder / name).mkdir()
        network = DecoupledUNet(**card["network"])
        torch.nn.init.normal_(network.log_variance["total"].local[-1].weight)
        save_model(folder / name, network, card)
    return folder


def scored(place, *networks, vary="network", draws=1):
    return score_baseline(
        [place / name for name in networks],
        place / "scans.tsv",
        name="baseline",
        about=("student", 0),
        vary=vary,
        draws=draws,
        augmentation=AUGMENTATION,
        inference=INFERENCE,
        seed=1,
    )


def values(table, scan="scan-0"):
    return table[table["scan"] == scan].set_index("metric")["value"].to_dict()


def looked(place, name):
    network, card = load_model(place / name)
    image = torch.from_numpy(nib.load(place / "0.nii.gz").get_fdata(dtype=np.float32))
    return predict(network, image, epsilon=card["epsilon"], **INFERENCE)


def test_one_network_gives_its_total_variance_and_entropy(place):
    table, found = scored(place, "one"), looked(place, "one")
    assert list(table.columns) == [*COLUMNS, "note"]
    assert set(table["model"]) == {"student"} and set(table["aggregation"]) == {"baseline"}
    reference = nib.load(place / "0_dseg.nii.gz").get_fdata() == 2
    assert values(table) == pytest.approx(
        {
            "dice": dice(found.label.numpy(), reference),
            "total_variance": found.variance["total"].mean().item(),
            "entropy": entropy(found.probability.numpy()).mean(),
        }
    )


def test_an_ensemble_is_rated_by_how_far_its_members_disagree(place):
    probabilities = np.stack([looked(place, name).probability.numpy() for name in ("one", "two")])
    found = values(scored(place, "one", "two"))
    first, second = probabilities > 0.5
    assert found["pairwise_dice"] == pytest.approx(dice(first, second))
    assert found["iou"] == pytest.approx((first & second).sum() / (first | second).sum())
    assert found["structure_entropy"] == pytest.approx(
        structure_entropy.compare(Looks(probabilities > 0.5, probabilities.mean(axis=0), 0.0))
    )
    assert set(found) == {"dice", "pairwise_dice", "iou", "volume_cv", "structure_entropy"}


def test_draws_differ_only_by_what_is_to_vary_and_are_the_same_the_next_time(place):
    assert values(scored(place, "dropping", draws=2))["pairwise_dice"] == 1  # no dropout unless asked for
    for vary, network in (("dropout", "dropping"), ("view", "one")):
        table = scored(place, network, vary=vary, draws=3)
        assert values(table)["pairwise_dice"] < 1
        pd.testing.assert_frame_equal(table, scored(place, network, vary=vary, draws=3))
    assert values(scored(place, "one", vary="dropout", draws=2))["pairwise_dice"] == 1


def test_dropout_takes_whole_channels_and_only_in_training():
    torch.manual_seed(0)
    network = DecoupledUNet(("task",), **SHAPE | {"channels": [32, 64]}, dropout=0.3)
    image = torch.rand(1, 1, 8, 8, 8)
    assert torch.equal(network.eval()(image)[0], network(image)[0])
    seen = []
    network.segmentation.register_forward_pre_hook(lambda _, features: seen.append(features[0]))
    for _ in range(40):
        network.train()(image)
    silent = torch.stack([features.abs().sum(dim=(0, 2, 3, 4)) == 0 for features in seen])
    assert silent.float().mean() == pytest.approx(0.3, abs=0.05)
    assert any(not torch.equal(*pair) for pair in itertools.pairwise(seen))
