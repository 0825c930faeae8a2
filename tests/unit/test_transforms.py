"""The simulators inside other people's pipelines."""

import numpy as np
import pytest
import torch
import torchio as tio
from monai.data import MetaTensor
from monai.transforms import Compose
from phantom import head

from decoupled_qc import artefacts
from decoupled_qc.errors import InputError
from decoupled_qc.monai_transforms import RandArtefactd
from decoupled_qc.torchio_transforms import RandomArtefact

SHAPE = (20, 24, 22)
AFFINE = np.diag([2.0, 1.0, 3.0, 1.0])
every_artefact = pytest.mark.parametrize("name", artefacts.available())


def subject():
    image = 500 * head(SHAPE)[None] + 20
    return tio.Subject(
        t1=tio.ScalarImage(tensor=image, affine=AFFINE), label=tio.LabelMap(tensor=(image > 200).int(), affine=AFFINE)
    )


@every_artefact
def test_torchio_changes_the_image_alone_and_keeps_its_range_and_place(name):
    torch.manual_seed(1)
    clean, corrupted = subject(), RandomArtefact(name, severity=(0.7, 0.7))(subject())
    assert torch.equal(corrupted.label.data, clean.label.data)
    assert not torch.allclose(corrupted.t1.data, clean.t1.data, atol=5)
    assert corrupted.t1.data.min() == pytest.approx(20) and corrupted.t1.data.max() == pytest.approx(520)
    assert np.array_equal(corrupted.t1.affine, AFFINE)


def test_torchio_replays_its_history():
    torch.manual_seed(2)
    corrupted = RandomArtefact("motion", local_probability=1.0)(subject())
    again = corrupted.get_composed_history()(subject())
    assert torch.equal(again.t1.data, corrupted.t1.data)


def test_torchio_composes_and_follows_the_global_seed():
    both = tio.Compose([RandomArtefact("noise", p=0.5), RandomArtefact("blur"), tio.RandomFlip()])
    scans = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        scans.append(both(subject()).t1.data)
    assert torch.equal(scans[0], scans[1]) and not torch.equal(scans[0], scans[2])


def test_voxel_sizes_come_from_the_affine():
    torch.manual_seed(5)
    records = RandomArtefact("motion")(subject()).history[-1].records["t1"]
    assert records[0]["spacing_mm"] == [2.0, 1.0, 3.0]


@every_artefact
def test_monai_changes_the_image_alone_and_keeps_its_range_and_place(name):
    clean = {"image": MetaTensor(500 * head(SHAPE)[None] + 20, affine=torch.from_numpy(AFFINE)), "label": torch.ones(1)}
    corrupt = RandArtefactd("image", name, severity=(0.7, 0.7)).set_random_state(1)
    corrupted = corrupt(clean)
    assert corrupted["label"] is clean["label"]
    assert not torch.allclose(corrupted["image"], clean["image"], atol=5)
    assert corrupted["image"].min().item() == pytest.approx(20) and corrupted["image"].max().item() == pytest.approx(
        520
    )
    assert torch.equal(corrupted["image"].affine, clean["image"].affine)


def test_monai_follows_its_random_state_and_its_probability():
    sample = {"image": 500 * head(SHAPE)[None]}
    pipeline = Compose([RandArtefactd("image", "spike", prob=0.5), RandArtefactd("image", "motion")])
    first, again, other = (pipeline.set_random_state(seed)(sample)["image"] for seed in (7, 7, 8))
    assert torch.equal(first, again) and not torch.equal(first, other)
    drawn = RandArtefactd("image", "spike", prob=0.3).set_random_state(0)
    share = np.mean([drawn(sample)["image"] is not sample["image"] for _ in range(60)])
    assert 0.15 < share < 0.45


@pytest.mark.parametrize("make", [RandomArtefact, lambda *names, **more: RandArtefactd("image", *names, **more)])
def test_what_does_not_exist_is_named_at_once(make):
    with pytest.raises(InputError, match="no artefact 'blurr'"):
        make("blurr")
    with pytest.raises(InputError, match="unknown key 'snr'"):
        make("noise", settings={"snr": 3})
