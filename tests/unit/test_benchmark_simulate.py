"""The benchmark of the simulator: what it compares with what, and what it writes."""

import csv
import sys

import pandas as pd
import pytest
import torch
from phantom import ROOT

from decoupled_qc import artefacts


@pytest.fixture
def simulate(monkeypatch):
    """The script, on volumes of a hundredth of the size."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    monkeypatch.delitem(sys.modules, "simulate", raising=False)
    import simulate

    monkeypatch.setattr(simulate, "SHAPE", (32, 48, 32))
    before = torch.get_num_threads()
    yield simulate
    torch.set_num_threads(before)
    del sys.modules["simulate"]


def test_every_artefact_stands_beside_its_nearest_peers(simulate):
    peers = {name: " ".join(titles) for name, titles in simulate.references().items()}
    assert set(peers) == set(artefacts.available())
    assert all("FFT pair" in titles for titles in peers.values())
    assert {name for name in peers if "TorchIO" in peers[name]} == {
        "spike", "noise", "blur", "ghosting", "motion", "bias", "wrap",
    }  # fmt: skip
    assert {name for name in peers if "MONAI" in peers[name]} == {"spike", "noise", "blur", "bias"}
    record = simulate.record_of("motion")
    assert len(record["times"]) == 3  # four poses, as TorchIO is asked for
    image = simulate.head()
    assert image.shape == (32, 48, 32) and 0.1 < (image > 0).float().mean() < 0.6
    for functions in simulate.references().values():
        for function in functions.values():
            function(image)  # each can be called


def test_tables_have_the_columns_promised_and_true_ratios(simulate, tmp_path, monkeypatch, capsys):
    table = tmp_path / "times.csv"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["simulate.py", "--csv", str(table), "--rounds", "3", "--only", "noise", "wrap"])
    simulate.main()
    with table.open() as file:
        assert next(csv.reader(file))[:5] == ["name", "seconds", "reference", "reference_seconds", "ratio"]
    rows = pd.read_csv(table)
    assert list(rows["name"]) == ["noise"] * 3 + ["wrap"] * 2
    assert set(rows[rows["name"] == "noise"]["reference"]) == {
        "bare FFT pair", "TorchIO RandomNoise", "MONAI RandRicianNoise",
    }  # fmt: skip
    assert rows["ratio"].between(rows["ratio_low"], rows["ratio_high"]).all()  # as the medians' always is
    for row in rows.itertuples():
        rounding = 0.00005 * (1 + row.ratio) / row.reference_seconds + 0.0005
        assert row.ratio == pytest.approx(row.seconds / row.reference_seconds, abs=1.1 * rounding)
    assert "ratio" in capsys.readouterr().out.splitlines()[0]
