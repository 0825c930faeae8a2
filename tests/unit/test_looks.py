"""What a training shows of itself while it runs: held-out patches and TensorBoard."""

import pandas as pd
import pytest
import torch
from tensorboardX.proto.event_pb2 import Event
from toy_training import RECIPE, SMALL, maps_of, networks, no_checkpoint, phantom, stream

from decoupled_qc.network import DecoupledUNet
from decoupled_qc.training.held_out import HeldOut
from decoupled_qc.training.loop import fit


def held_out(names):
    cases = [phantom("x"), phantom("y")]
    return HeldOut(cases, stream(names).corruption, patch_size=16, severity=0.8, seed=5, key="x and y")


def test_looking_at_held_out_patches_changes_nothing_and_leaves_a_row_per_input(tmp_path):
    ends = []
    for watched in (None, held_out(["noise"])):
        torch.manual_seed(0)
        network = DecoupledUNet(("task", "noise"), **SMALL | {"channels": (4, 8)}, dropout=0.2)
        fit(network, {}, stream(["noise"]), RECIPE, tmp_path, no_checkpoint(tmp_path), held_out=watched)
        ends.append(network.state_dict())
    assert all(torch.equal(value, ends[1][key]) for key, value in ends[0].items())
    looks = pd.read_csv(tmp_path / "held_out.csv")
    assert list(looks["step"]) == [0, 0, 3, 3, 6, 6] and list(looks["input"][:2]) == ["clean", "noise"]
    assert set(looks["n_scans"]) == {2} and looks["variance_noise"].nunique() > 3


def test_a_look_says_what_the_network_says_of_an_upper_corner_of_each_scan():
    network, watched = networks("task", "noise"), held_out(["noise"])
    (clean, noisy), picture = watched.look(network, 7, "float32")
    corners = {"x": (slice(16), slice(16), slice(4, None)), "y": (slice(4, None), slice(16), slice(4, None))}
    image = torch.stack([phantom(name).image[corner] for name, corner in corners.items()])[:, None]
    label = torch.stack([phantom(name).label[corner] for name, corner in corners.items()]).long()
    low, high = (
        torch.stack([f(phantom(name).image) for name in "xy"]).reshape(2, 1, 1, 1, 1) for f in (torch.min, torch.max)
    )
    logits, variance = maps_of(network, (image - low) / (high - low))
    assert clean["variance_noise"] == pytest.approx(variance["noise"].mean().item(), rel=1e-4)
    assert clean["twice_cross_entropy"] == pytest.approx(
        2 * torch.nn.functional.cross_entropy(logits, label).item(), rel=1e-4
    )
    assert clean["step"] == 7 and noisy["dice"] != clean["dice"]
    assert picture.shape == (2 * 16, 4 * 16)
    assert torch.equal(picture[:16, :16], ((image - low) / (high - low))[0, 0, :, :, 8].T.flip(0))
    noise = variance["noise"][0, :, :, 8].clamp(max=1).T.flip(0)
    assert torch.allclose(picture[:16, 48:], noise, atol=1e-4)


def events_of(file):
    """A record is its length (8 bytes), a checksum (4), the event, and a checksum (4)."""
    data = file.read_bytes()
    while data:
        end = 12 + int.from_bytes(data[:8], "little")
        yield Event.FromString(data[12:end])
        data = data[end + 4 :]


def test_tensorboard_has_the_rows_of_both_tables_and_a_picture_of_every_look(tmp_path):
    fit(
        DecoupledUNet(("task", "noise"), **SMALL),
        {},
        stream(["noise"]),
        RECIPE,
        tmp_path,
        no_checkpoint(tmp_path),
        held_out=held_out(["noise"]),
    )
    (file,) = (tmp_path / "tensorboard").iterdir()
    drawn = {(value.tag, event.step): value for event in events_of(file) for value in event.summary.value}
    for group, table in (("training", "metrics.csv"), ("held_out_clean", "held_out.csv")):
        rows = pd.read_csv(tmp_path / table)
        rows = rows[rows["input"] == "clean"] if "input" in rows else rows
        numbers = rows.drop(columns=["step", "n_scans"], errors="ignore").select_dtypes("number").dropna(axis=1)
        assert {"dice", "variance_task", "variance_noise"} <= set(numbers)
        for row, step in zip(numbers.to_dict("records"), rows["step"], strict=True):
            for name, value in row.items():
                assert drawn[f"{group}/{name}", step].simple_value == pytest.approx(value, rel=1e-5, abs=1e-6), name
    shown = [(value.image.height, value.image.width) for (tag, _), value in drawn.items() if tag == "held_out"]
    # Image, segmentation and two variances of a clean patch, and below of one with noise, at the steps of the looks.
    assert shown == [(2 * 16, 4 * 16)] * 3
