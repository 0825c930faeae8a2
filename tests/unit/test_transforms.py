"""The simulators inside other people's pipelines."""

import json

import nibabel as nib
import numpy as np
import pytest
import torch
import torchio as tio
from monai.data import MetaTensor, list_data_collate
from monai.transforms import Compose
from phantom import head

from decoupled_qc import artefacts
from decoupled_qc.errors import InputError
from decoupled_qc.monai_transforms import RandArtefactd
from decoupled_qc.torchio_transforms import RandomArtefact

SHAPE = (20, 24, 22)
AFFINE = np.diag([2.0, 1.0, 3.0, 1.0])
FAR = nib.affines.from_matvec(nib.eulerangles.euler2mat(0.3, -0.5, 0.2) @ np.diag([-2.0, 1.0, 3.0]), [900, -500, 70])
every_artefact = pytest.mark.parametrize("name", artefacts.available())


def subject(affine=AFFINE):
    image = 500 * head(SHAPE)[None] + 20
    return tio.Subject(
        t1=tio.ScalarImage(tensor=image, affine=affine), label=tio.LabelMap(tensor=(image > 200).int(), affine=affine)
    )


@every_artefact
def test_torchio_changes_the_image_alone_and_keeps_its_range_and_place(name):
    torch.manual_seed(1)
    clean, corrupted = subject(), RandomArtefact(name, severity=(0.7, 0.7))(subject())
    assert torch.equal(corrupted.label.data, clean.label.data)
    assert not torch.allclose(corrupted.t1.data, clean.t1.data, atol=5)
    assert corrupted.t1.data.min() == pytest.approx(20) and corrupted.t1.data.max() == pytest.approx(520)
    assert np.array_equal(corrupted.t1.affine, AFFINE)


@every_artefact
def test_strength_does_not_depend_on_where_the_header_puts_the_scan(name):
    """TorchIO 1.2.1's own motion turns the head about the world's origin, so that its strength does."""
    scans = []
    for affine in (AFFINE, FAR):
        torch.manual_seed(1)
        scans.append(RandomArtefact(name, severity=(1.0, 1.0))(subject(affine)).t1.data)
    assert torch.allclose(
        *scans, atol=1e-2
    )  # of 500: voxel sizes of the oblique affine are 2, 1 and 3 mm but for rounding
    samples = [{"image": MetaTensor(subject().t1.data, affine=torch.from_numpy(affine))} for affine in (AFFINE, FAR)]
    corrupt = RandArtefactd("image", name, severity=(1.0, 1.0))
    ours = [corrupt.set_random_state(1)(sample)["image"].as_tensor() for sample in samples]
    assert torch.allclose(*ours, atol=1e-2)
    assert not torch.allclose(ours[0], subject().t1.data, atol=5)


@every_artefact
def test_no_severity_changes_no_bit(name):
    assert torch.equal(RandomArtefact(name, severity=(0, 0))(subject()).t1.data, subject().t1.data)
    sample = {"image": subject().t1.data}
    assert torch.equal(RandArtefactd("image", name, severity=(0, 0))(sample)["image"], sample["image"])


def test_whole_numbers_and_one_voxel_axes_are_taken():
    slab = (500 * head(SHAPE)[None, :, :, 10:11] + 20).short()
    torch.manual_seed(1)
    for found in (
        RandomArtefact("blur", severity=(1, 1))(tio.Subject(t1=tio.ScalarImage(tensor=slab))).t1.data,
        RandArtefactd("image", "noise", severity=(1, 1)).set_random_state(0)({"image": slab})["image"],
    ):
        assert found.shape == slab.shape and found.dtype == torch.float32
        assert (found.min(), found.max()) == (slab.min(), slab.max())
        assert (found - slab).abs().max() > 50


def bad_images():
    image = 500 * head(SHAPE)[None]
    holed, endless = image.clone(), image.clone()
    holed[0, 3, 3, 3], endless[0, 3, 3, 3] = torch.nan, torch.inf
    return [(holed, "NaN or infinite"), (endless, "NaN or infinite"), (torch.full_like(image, 7.0), "constant")]


@pytest.mark.parametrize(("image", "reason"), bad_images())
def test_images_that_cannot_be_used_are_named(image, reason):
    with pytest.raises(InputError, match=rf"^Image 't1': .*{reason}"):
        RandomArtefact("blur")(tio.Subject(t1=tio.ScalarImage(tensor=image)))
    with pytest.raises(InputError, match=rf"^Image 'image': .*{reason}"):
        RandArtefactd("image", "blur")({"image": image})
    with pytest.raises(InputError, match=rf"^Image 'image' \(a.nii\): .*{reason}"):
        RandArtefactd("image", "blur")({"image": MetaTensor(image, meta={"filename_or_obj": "a.nii"})})


@every_artefact
@pytest.mark.parametrize("shape", [(1, 20, 24), (1, 20, 24, 22, 2)])
def test_monai_images_of_other_than_three_axes_are_named(name, shape):
    with pytest.raises(InputError, match="^Image 'image': An image of shape .* is not a volume"):
        RandArtefactd("image", name)({"image": torch.rand(shape)})


def test_a_file_read_by_torchio_is_named(tmp_path):
    """A constant one; NaN and infinite voxels are made 0 by ITK, before a transform can see them."""
    nib.save(nib.Nifti1Image(np.full(SHAPE, 7.0, np.float32), AFFINE), tmp_path / "scan.nii.gz")
    with pytest.raises(InputError, match=r"^Image 't1' \(.*scan.nii.gz\): .*constant"):
        RandomArtefact("blur")(tio.Subject(t1=tio.ScalarImage(tmp_path / "scan.nii.gz")))


def test_a_volume_too_small_for_its_artefact_is_named():
    tiny = torch.rand(1, 3, 3, 3)
    with pytest.raises(InputError, match="^Image 't1': .* too small for a spike"):
        RandomArtefact("spike")(tio.Subject(t1=tio.ScalarImage(tensor=tiny)))


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
    ((record,),) = RandomArtefact("motion")(subject()).history[-1].records["t1"]
    assert record["spacing_mm"] == [2.0, 1.0, 3.0]


def test_torchio_history_holds_what_was_measured_on_each_channel_once():
    two = tio.Subject(t1=tio.ScalarImage(tensor=torch.cat([subject().t1.data, subject().t1.data ** 2])))
    torch.manual_seed(5)
    corrupted = RandomArtefact("motion")(two)
    assert len(corrupted.history) == 1
    first, second = (record for (record,) in corrupted.history[0].records["t1"])
    assert first["residual_shift_voxels"] >= 0 and first["times"] == second["times"]
    assert first["centre_mm"] != second["centre_mm"]
    assert torch.equal(corrupted.get_composed_history()(two).t1.data, corrupted.t1.data)


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
    share = np.mean([json.loads(drawn(sample)["image_records"]) != [[]] for _ in range(60)])
    assert 0.15 < share < 0.45


@pytest.mark.parametrize("image", [(500 * head(SHAPE)[None]).short(), 500 * head(SHAPE)[None].double().numpy()])
def test_monai_gives_the_same_type_by_any_chance_and_records_that_can_be_batched(image):
    samples = []
    for seed in range(12):
        samples.append(RandArtefactd("image", "noise", prob=0.5).set_random_state(seed)({"image": image}))
    assert {(type(sample["image"]), sample["image"].dtype) for sample in samples} == {(MetaTensor, torch.float32)}
    records = [json.loads(text) for text in list_data_collate(samples)["image_records"]]
    assert records.count([[]]) in range(1, 12)
    for (told,), sample in zip(records, samples, strict=True):
        assert bool(told) != torch.equal(sample["image"].as_tensor(), torch.as_tensor(image).float())
        assert all(record["signal_power"] > 0 for record in told)
    both = Compose([RandArtefactd("image", "noise"), RandArtefactd("image", "blur")])({"image": image})
    assert [record["artefact"] for record in json.loads(both["image_records"])[0]] == ["noise", "blur"]


@pytest.mark.parametrize("make", [RandomArtefact, lambda *names, **more: RandArtefactd("image", *names, **more)])
def test_what_does_not_exist_is_named_at_once(make):
    with pytest.raises(InputError, match="no artefact 'blurr'"):
        make("blurr")
    with pytest.raises(InputError, match="unknown key 'snr'"):
        make("noise", settings={"snr": 3})
