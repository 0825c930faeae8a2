"""From a student to a model folder, and from that to the verdicts of batches: the rules run, on heads of a few voxels."""

import json
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from phantom import head  # noqa: E402
from tiny_model import ARTEFACTS, SHAPE, write_tiny_model  # noqa: E402

from decoupled_qc.apply.folder import open_model  # noqa: E402
from decoupled_qc.models import save_model  # noqa: E402
from decoupled_qc.network import DecoupledUNet  # noqa: E402

MM = 4.0
CLEAN = "clean and with one simulated artefact"


def write_head(folder, name, turn):
    """Write a head, shifted by a few voxels to be another, and its label."""
    folder.mkdir(parents=True, exist_ok=True)
    values = np.roll(head().numpy(), turn, axis=1)
    affine = np.diag([MM, MM, MM, 1])
    nib.save(nib.Nifti1Image(values * 1000, affine), folder / f"{name}_T1w.nii.gz")
    label = np.where((values > 0.4) & (values < 0.7), 2, 0).astype(np.uint8)
    nib.save(nib.Nifti1Image(label, affine), folder / f"{name}_dseg.nii.gz")


def write_student(folder):
    """Write a network of random weights as if it had been trained."""
    folder.mkdir(parents=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = DecoupledUNet(**SHAPE)
    card = {"network": SHAPE, "epsilon": 0.05, "spacing_mm": MM, "artefacts": {}, "versions": {"torch": "1"}}
    save_model(folder, network, card)


def write_cohort(folder):
    """Write two validation subjects."""
    rows = []
    for number in (1, 2):
        write_head(folder, f"sub-{number}", number)
        files = {"image": f"sub-{number}_T1w.nii.gz", "dseg": f"sub-{number}_dseg.nii.gz"}
        rows.append({"subject": f"sub-{number}", "anatomy": "a", "role": "validation", **files, "label_source": "mine"})
    pd.DataFrame(rows).to_csv(folder / "manifest.tsv", sep="\t", index=False)


def run(project, target, rules, overlay):
    """Run rules and none before them, with a configuration over that of the smoke run; return its results."""
    (project.folder / "overlay.yaml").write_text(overlay)
    files = ("--configfile", "config/smoke.yaml", "overlay.yaml")
    threads = ("--set-threads", "predict_batch=1")  # two at a time
    project.snakemake("--allowed-rules", *rules, *threads, *files, "--", f"results/smoke/{target}")
    return project.folder / "results" / "smoke"


def test_a_reference_is_measured_on_validation_scans(bare_project, tmp_path):
    project = bare_project.copy_to(tmp_path / "project")
    write_student(project.folder / "results/smoke/models/student/rep-0")
    write_cohort(project.folder / "results/smoke/cohort")
    overlay = "reference: {severity_bands: [0.0, 1.0]}\n"
    rules = ("reference_scans", "reference")
    model = open_model(run(project, "model", rules, overlay) / "model")
    assert model.reference["artefacts"] == ARTEFACTS and model.reference["n_subjects"] == 2
    assert model.reference["n_scans"] == 2 * (1 + len(ARTEFACTS))
    assert f"2 validation subjects from 1 anatomies, {CLEAN}" in (model.folder / "MODEL_CARD.md").read_text()
    asked = ("config/smoke.yaml", "overlay.yaml", "--allowed-rules", *rules, "--", "results/smoke/model")
    assert project.planned(*asked) == {}
    project.edit("src/decoupled_qc/apply/model_card.md", "# ", "# The ")
    assert project.planned(*asked) == {"reference": {"model"}}


def test_scans_are_predicted_in_batches_whose_tables_are_joined(bare_project, tmp_path):
    project = bare_project.copy_to(tmp_path / "project")
    model = open_model(write_tiny_model(project.folder / "mine", MM))
    for site in ("a", "b"):  # of one name, so that a batch alone would not know of the other
        write_head(project.folder / "data" / site, "sub-01", len(site))
    overlay = "apply: {inputs: ['data/*/*_T1w.nii.gz'], batch_size: 1, model: mine}\n"
    apply = run(project, "apply/predictions.csv", ("list_scans", "predict_batch", "gather_batches"), overlay) / "apply"
    table = pd.read_csv(apply / "predictions.csv")
    assert len(table) == 2 == table["scan"].nunique() and set(table["status"]) == {"ok"}
    assert sorted(folder.split("/")[0] for folder in table["folder"]) == ["batch-0", "batch-1"]
    for row in table.itertuples():
        place = apply / row.folder
        summary = json.loads((place / f"{row.scan}_desc-summary.json").read_text())
        assert summary["row"]["input"] == row.input and summary["model"]["sha256"] == model.card["sha256"]
        assert (place / f"{row.scan}_desc-gm_dseg.nii.gz").is_file() and (place / f"{row.scan}.html").is_file()
        assert row.scan in (apply / "index.html").read_text()
    assert json.loads((apply / "reference.json").read_text()) == model.reference
    write_head(project.folder / "data" / "0", "sub-01", 3)  # before the others, and of their name
    asked = ("config/smoke.yaml", "overlay.yaml", "--", "results/smoke/apply/predictions.csv")
    assert project.planned(*asked) == {
        "list_scans": {"apply/scans.tsv"},
        "predict_batch": {"apply/batch-2/predictions.csv"},
        "gather_batches": {"apply/predictions.csv"},
    }
