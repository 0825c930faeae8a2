"""The benchmark on a GPU, as far as there is none: what it asks for, and what is said where it did not run."""

import sys

import pytest
import torch
from phantom import ROOT


@pytest.fixture
def gpu(monkeypatch):
    """The script, on volumes of a hundredth of the size."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    for name in ("gpu", "predict", "simulate", "train"):  # names that others' tests may import from elsewhere
        monkeypatch.delitem(sys.modules, name, raising=False)
    import gpu

    monkeypatch.setattr(gpu.simulate, "SHAPE", (32, 48, 32))
    return gpu


def test_a_batch_is_told_per_volume_beside_what_was_asked(gpu, monkeypatch):
    """With what three rounds of a batch of two would take."""

    def seconds(functions, rounds):
        assert rounds == 3 and all(function().shape[0] == 2 for function in functions.values())
        return {"ours": [0.04, 0.05, 0.08]}

    monkeypatch.setattr(gpu, "seconds", seconds)
    rows = gpu.simulation_rows("cpu", ["noise", "blur"], 3)
    assert rows == [(name, 0.025, "asked for", 0.02, 1.25, 1.0, 2.0) for name in ("noise", "blur")]


def test_without_a_gpu_it_says_so_and_writes_nothing(gpu, monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--csv", str(tmp_path / "gpu.csv")])
    with pytest.raises(SystemExit, match="sees no GPU here"):
        gpu.main()
    assert not list(tmp_path.iterdir())


def test_what_was_not_measured_is_not_met(gpu):
    import results

    untold = [cells for cells in results.verdicts({}) if cells[0] == "gpu"]
    assert len(untold) == 8
    assert all(cells[3] == "not measured" and not cells[5] for cells in untold)
