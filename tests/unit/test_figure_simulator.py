"""The picture of the simulator: made by a rule, and every panel can be made again from its row."""

import json

import nibabel as nib
import numpy as np
import pytest
import torch
from figure_run import texts
from phantom import SETTINGS

from decoupled_qc import artefacts
from decoupled_qc.figures.figure_simulator import N_REALISATIONS, SEVERITIES
from decoupled_qc.figures.images import find_frame
from decoupled_qc.scan_table import read_conditions
from decoupled_qc.seeds import rng_for


@pytest.fixture(scope="module")
def drawing(run):
    return run.draw("simulator")


@pytest.fixture(scope="module")
def scan(run):
    """The clean scan, and where it is cut."""
    scans = read_conditions([run.folder / "conditions/clean"])
    volume = torch.from_numpy(nib.load(scans.iloc[0]["image"]).get_fdata(dtype=np.float32))
    return volume, find_frame(scans, scans.iloc[0])


def test_all_artefacts_in_the_order_of_acquisition_at_six_severities(drawing):
    assert set(drawing.rows["artefact"]) == set(artefacts.available())
    places = [artefacts.load(name).CHAIN_POSITION for name in drawing.rows["artefact"]]
    assert places == sorted(places)
    for _, column in drawing.rows.groupby("artefact"):
        assert list(column["severity"]) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0] == list(SEVERITIES)


def test_every_panel_is_the_scan_that_its_record_makes(drawing, scan):
    volume, frame = scan
    panels = np.array([axes for axes in drawing.figure.axes if axes.images]).reshape(len(SEVERITIES), -1)
    assert panels.size == len(drawing.rows)
    for number, row in enumerate(drawing.rows.itertuples()):
        shown = panels[number % len(SEVERITIES), number // len(SEVERITIES)].images[0].get_array()
        made = artefacts.corrupt(volume, [json.loads(row.record)])
        assert np.allclose(shown, frame.cut(made.numpy()), atol=1e-6)
        assert np.allclose(shown, frame.cut(volume.numpy()), atol=1e-6) == (row.severity == 0)


def test_of_eight_realisations_the_one_that_changes_the_head_most_is_shown(drawing, scan, run):
    volume, frame = scan
    clean = frame.cut(volume.numpy())
    head = clean > clean.mean()
    spacing_mm = 4.0

    def alike(record):
        return np.corrcoef(frame.cut(artefacts.corrupt(volume, [record]).numpy())[head], clean[head])[0, 1]

    for name in ("zipper", "wrap"):
        drawn = [
            artefacts.sample_record(
                name,
                1.0,
                tuple(volume.shape),
                spacing_mm,
                rng_for(0, "simulator", name, number),
                SETTINGS[name],
                local_probability=0,
            )
            for number in range(N_REALISATIONS)
        ]
        shown = json.loads(drawing.rows[drawing.rows["artefact"] == name]["record"].iloc[-1])
        assert shown == min(drawn, key=alike)
        assert shown != max(drawn, key=alike)


def test_strengths_are_told_in_physical_units(drawing):
    said = texts(drawing).splitlines()
    for told in ("14 dB", "\N{MINUS SIGN}10 dB", "10.0 max|X|", "1/12.0 of planes", "× 7.4", "± 80 %", "6.0 rms"):
        assert told in said, told
    record = json.loads(drawing.rows[drawing.rows["artefact"] == "motion"]["record"].iloc[-1])
    longest = [max(np.linalg.norm(move) for move in record[key]) for key in ("angles_deg", "shifts_mm")]
    assert "{:.0f}°, {:.0f} mm".format(*longest) in said
