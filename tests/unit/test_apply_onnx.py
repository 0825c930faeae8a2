import json

import numpy as np
import onnxruntime
import pytest
import torch
from tiny_model import write_tiny_model

from decoupled_qc.apply.folder import open_model
from decoupled_qc.apply.self_test import phantom
from decoupled_qc.cli import main


def test_the_exported_network_is_pytorchs_for_any_number_of_windows(tmp_path, capsys):
    folder, out = write_tiny_model(tmp_path / "model"), tmp_path / "student.onnx"
    assert main(["export-onnx", str(out), "--model", str(folder)]) == 0
    assert "largest difference to PyTorch" in capsys.readouterr().out
    session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
    about = json.loads(session.get_modelmeta().custom_metadata_map["decoupled_qc"])
    assert about["causes"] == ["task", "noise", "blur"] and about["epsilon"] == 0.05
    windows = torch.rand(3, 1, 16, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        logits, log_variance = open_model(folder).network(windows)
    found = session.run(["logits", "variance"], {"image": windows.numpy()})
    assert np.abs(found[0] - logits.numpy()).max() < 1e-4 * float(logits.abs().max())
    assert np.abs(found[1] - log_variance.exp().numpy()).max() < 1e-4 * float(log_variance.exp().max())


@pytest.mark.slow
def test_the_shipped_network_is_pytorchs_on_a_head(tmp_path, capsys):
    out = tmp_path / "student.onnx"
    assert main(["export-onnx", str(out)]) == 0
    assert "largest difference to PyTorch" in capsys.readouterr().out
    model, head = open_model(), phantom()
    assert head.shape == (model.card["inference"]["patch_size"],) * 3
    windows = torch.stack([head, head.flip(0)])[:, None]
    session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        logits, log_variance = model.network(windows)
    found = session.run(["logits", "variance"], {"image": windows.numpy()})
    for one, other in zip(found, (logits.numpy(), log_variance.exp().numpy()), strict=True):
        assert one.shape == other.shape and np.abs(one - other).max() <= 1e-4 * np.abs(other).max()


def test_another_name_is_refused(tmp_path, capsys):
    assert (
        main(["export-onnx", str(tmp_path / "student.pt"), "--model", str(write_tiny_model(tmp_path / "model"))]) == 2
    )
    assert "end it in .onnx" in capsys.readouterr().err
