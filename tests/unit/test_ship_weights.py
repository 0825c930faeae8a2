"""Reference and card of the weights in the package follow from the tables that are committed beside them."""

import importlib
import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from phantom import ROOT, head
from tiny_model import ARTEFACTS, BANDS, measured_scans, write_tiny_model

from decoupled_qc.apply import folder
from decoupled_qc.apply.reference import summarise
from decoupled_qc.cohort.manifest import COLUMNS


@pytest.fixture
def ship(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("ship_weights")


def nearly(found, wanted):
    """Say whether two JSON values are the same but for the last digits of sums."""
    if isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(nearly(found[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(nearly, found, wanted))
    return found == (pytest.approx(wanted, rel=1e-6, abs=1e-9) if isinstance(wanted, float) else wanted)


def test_the_committed_card_and_reference_are_what_the_committed_tables_make(ship):
    assert (folder.SHIPPED / "MODEL_CARD.md").read_text() == ship.shipped_card()
    assert nearly(ship.shipped_reference(), json.loads((folder.SHIPPED / "reference.json").read_text()))


def real_tables(tables):
    """Write what benchmarks/release.py writes, of one scan."""
    tables.mkdir()
    dice = pd.DataFrame([{"dice": 0.6, "gm_volume_ml": 700.0, "freesurfer_ml": 650.0}])
    for name in ("labelled", "classical"):
        dice.to_csv(tables / f"{name}.csv", index=False)
    row = {"set": "ds002748", "scan": "sub-01", "gm_volume_ml": 600.0, "decision": "pass", "cause": "none"}
    row |= {"unlike_training": False, "uncertainty_noise": 0.02, "uncertainty_blur": 0.02, "predicted_dice": 0.9}
    pd.DataFrame([row]).to_csv(tables / "scans.csv", index=False)
    named = [("noise", 0.5, "noise"), ("noise", 1.0, "noise"), ("blur", 0.5, "none"), ("blur", 1.0, "noise")]
    rows = [row | {"artefact": kind, "severity": severity, "cause": cause} for kind, severity, cause in named]
    pd.DataFrame(rows).to_csv(tables / "corrupted.csv", index=False)


@pytest.fixture
def package(ship, tmp_path, monkeypatch):
    """A package of the tiny model, and tables for it."""
    real_tables(tmp_path / "tables")
    monkeypatch.setattr(ship, "SHIPPED", write_tiny_model(tmp_path / "weights"))
    monkeypatch.setattr(ship, "TABLES", tmp_path / "tables")
    return tmp_path


def test_the_cards_section_on_real_scans_is_made_without_any_prediction(ship, package):
    card = package / "weights" / "MODEL_CARD.md"
    card.write_text("# Model card\n\nOf validation scans.\n\n## On real scans\n\nOld numbers.\n")
    before = (package / "weights" / "reference.json").read_text()
    ship.rewrite()
    text = card.read_text()
    assert text.startswith("# Model card\n\nOf validation scans.\n\n## On real scans\n\n**These weights are not good")
    assert "Old numbers" not in text and "already on the model's grid of\n4 mm" in text
    for line in (
        "|  | none | noise | blur | n |",
        "| noise | 0 | 2 | 0 | 2 |",
        "| blur | 1 | 1 | 0 | 2 |",
        "| noise | 100%, 0.90 (n = 1) | 100%, 0.90 (n = 1) |",
    ):
        assert line in text.splitlines()
    ship.rewrite()
    assert card.read_text() == text
    assert json.loads((package / "weights" / "reference.json").read_text()) == json.loads(before)


def test_reference_and_card_follow_from_the_validation_scans_as_read_back(ship, package):
    measured = measured_scans().assign(gm_volume_ml=500.0)
    measured.to_csv(package / "tables" / "validation.csv", index=False, float_format="%.6g")
    subjects = pd.DataFrame({"role": ["train"], "anatomy": ["s1"], "label_source": ["ANTs Atropos"]})
    subjects.to_csv(package / "tables" / "subjects.csv", index=False)
    (package / "weights" / "MODEL_CARD.md").write_text("Old.\n\n## On real scans\n")
    sha256 = json.loads((package / "weights" / "model.json").read_text())["sha256"]
    card = json.loads((package / "weights" / "model.json").read_text())
    (package / "weights" / "model.json").write_text(json.dumps({**card, "versions": {}}))
    ship.rewrite()
    read = pd.read_csv(package / "tables" / "validation.csv")
    wanted = {**summarise(read, ARTEFACTS, BANDS, target_dice=0.75, error_rate=0.1), "sha256": sha256}
    assert nearly(json.loads((package / "weights" / "reference.json").read_text()), wanted)
    assert wanted["input_ranges"]["gm_volume_ml"] == [500.0, 500.0]
    text = (package / "weights" / "MODEL_CARD.md").read_text()
    assert "| train | 1 | 1 | ANTs Atropos |" in text and "| gm_volume_ml | 500 | 500 |" in text
    assert f"is above {wanted['kind_model']['threshold']:.1f}, 25 % more than that of any of those" in text
    assert text.count("## On real scans") == 1 and "Old." not in text


def write_run(run):
    """Write a run's cohort and its validation scans: two subjects, clean and with each artefact."""
    reference = run / "conditions" / "reference"
    reference.mkdir(parents=True)
    (run / "cohort").mkdir()
    (run / "cohort" / "x").touch()
    rows, affine = [], np.diag([4.0, 4.0, 4.0, 1.0])
    for number, (subject, artefact) in enumerate((s, a) for s in ("s1", "s2") for a in ("none", *ARTEFACTS)):
        values = np.roll(head().numpy(), number, axis=1)
        nib.save(nib.Nifti1Image(values * 1000, affine), reference / f"{number}.nii.gz")
        label = np.where((values > 0.4) & (values < 0.7), 2, 0).astype(np.uint8)
        nib.save(nib.Nifti1Image(label, affine), reference / f"{number}_dseg.nii.gz")
        about = {"scan": number, "subject": subject, "anatomy": "a", "artefact": artefact}
        files = {"image": f"{number}.nii.gz", "dseg": f"{number}_dseg.nii.gz"}
        rows.append({**about, "severity": 0.0 if artefact == "none" else 0.5, **files})
    pd.DataFrame(rows).to_csv(reference / "scans.tsv", sep="\t", index=False)
    cohort = dict.fromkeys(COLUMNS, "x") | {"anatomy": "a", "role": "validation", "label_source": "mine"}
    manifest = pd.DataFrame([cohort | {"subject": subject} for subject in ("s1", "s2")])
    manifest.to_csv(run / "cohort" / "manifest.tsv", sep="\t", index=False)


def test_the_packages_weights_are_measured_again_on_a_runs_validation_scans(ship, package, monkeypatch):
    write_run(package / "run")
    card = json.loads((package / "weights" / "model.json").read_text())
    (package / "weights" / "model.json").write_text(json.dumps({**card, "versions": {}}))
    (package / "weights" / "MODEL_CARD.md").write_text("Old.\n")
    monkeypatch.setattr("sys.argv", ["ship_weights.py", "--measure", str(package / "run")])
    ship.main()
    assert folder.open_model(package / "weights").reference["n_scans"] == 6
    assert len(pd.read_csv(package / "tables" / "validation.csv")) == 6
    text = (package / "weights" / "MODEL_CARD.md").read_text()
    assert "| validation | 2 | 1 | mine |" in text and "## On real scans" in text


def test_a_runs_model_folder_is_taken_with_the_scans_behind_its_reference(ship, package, monkeypatch):
    write_run(package / "run")
    source = write_tiny_model(package / "run" / "model")
    card = json.loads((source / "model.json").read_text())
    (source / "model.json").write_text(json.dumps({**card, "versions": {}}))
    (source / "MODEL_CARD.md").write_text("Old.\n")
    measured_scans().to_csv(source / "validation.csv", index=False)
    monkeypatch.setattr("sys.argv", ["ship_weights.py", str(source)])
    ship.main()
    there = sorted(path.name for path in (package / "weights").iterdir())
    assert there == ["MODEL_CARD.md", "model.json", "reference.json", "self_test.json", "weights.safetensors"]
    assert folder.open_model(package / "weights").reference["n_scans"] == 60
    assert "| validation | 2 | 1 | mine |" in (package / "weights" / "MODEL_CARD.md").read_text()
