"""What a network says of whole validation scans."""

import pandas as pd
import torch
from toy_training import networks, phantom, stream

from decoupled_qc.inference import predict
from decoupled_qc.training import diagnostics
from decoupled_qc.training.held_out import damaged
from decoupled_qc.training.sampling import Case

INFERENCE = {"patch_size": 16, "overlap": 0.25, "batch_size": 2, "precision": "float32", "mirror": False}


class OnDevice(torch.Tensor):
    """A tensor that, as one on a GPU, cannot be used with tensors in main memory or by NumPy."""

    @classmethod
    def __torch_function__(cls, function, types, arguments=(), keywords=None):
        stays = function is torch.Tensor.__eq__ or (function is torch.Tensor.to and arguments[1] is torch.uint8)
        if not stays and function not in (torch.Tensor.cpu, torch.Tensor.to):
            raise RuntimeError(f"{function.__name__}: tensors on two devices")
        found = function(
            *(value.as_subclass(torch.Tensor) for value in arguments[:1]), *arguments[1:], **keywords or {}
        )
        return found.as_subclass(cls) if stays else found


def diagnose(cases):
    return diagnostics.diagnose(
        networks("task", "noise"),
        cases,
        stream(["noise"]).corruption,
        epsilon=0.01,
        severity=0.8,
        seed=5,
        inference=INFERENCE,
    )


def test_each_row_is_the_mean_over_scans_of_what_the_network_says():
    table = diagnose([phantom("x"), phantom("y")]).set_index("input")
    assert list(table.index) == ["clean", "noise"] and set(table["n_scans"]) == {2}
    network, plan = networks("task", "noise"), stream(["noise"]).corruption
    for name in ("clean", "noise"):
        images = [damaged(phantom(subject), name, plan, 0.8, 5) for subject in "xy"]
        maps = [predict(network, image, epsilon=0.01, **INFERENCE).variance["noise"].mean() for image in images]
        assert abs(table.loc[name, "variance_noise"] - sum(maps) / 2) < 1e-6


def test_labels_may_be_on_another_device_than_the_maps():
    there = [Case("x", phantom("x").image, phantom("x").dseg.as_subclass(OnDevice))]
    pd.testing.assert_frame_equal(diagnose(there), diagnose([phantom("x")]))
