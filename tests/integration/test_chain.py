"""The whole chain in miniature, through Snakemake, as a user would run it."""

import gzip
import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from decoupled_qc.analysis.scores import COLUMNS

RUN = "results/smoke"
TABLE_COLUMNS = ["set", "score", "rho", "ci_low", "ci_high", "p", "n_scans", "n_subjects", "n_anatomies"]


@pytest.fixture
def results(smoke_project):
    return smoke_project.folder / RUN


def test_tables_hold_the_agreed_columns_and_scores(results):
    for name, size in (("table_1", "n_subjects"), ("table_2", "n_subjects")):
        table = pd.read_csv(results / "tables" / f"{name}.csv")
        assert list(table.columns) == TABLE_COLUMNS
        assert list(table.score[:3]) == ["artefact_uncertainty", "snr", "cnr"]
        assert (table[size] >= 2).all() and (table.n_anatomies == 1).all()


def test_scores_cover_every_scan_of_every_condition(results):
    scores = pd.read_csv(results / "scores.csv", keep_default_na=False)
    assert list(scores.columns) == [*COLUMNS, "note"]
    conditions = {"clean", "sim-noise", "sim-blur", "sweep-noise", "sweep-blur", "mix", "real", "validation"}
    assert set(scores.condition) == conditions
    for condition in conditions:
        scans = pd.read_csv(results / "conditions" / condition / "scans.tsv", sep="\t")
        scored = scores[(scores.condition == condition) & (scores.metric == "dice") & (scores.aggregation == "gm")]
        assert sorted(scored.scan) == sorted(scans.scan)
    assert not scores.duplicated(["scan", "metric", "aggregation"]).any()


def test_the_score_is_the_mean_of_the_artefact_maps(results):
    scores = pd.read_csv(results / "scores.csv")
    scan = "sub-s101_sim-noise"
    maps = results / "predictions/student/rep-0/sim-noise"
    files = [maps / f"{scan}_desc-{cause}_variance.nii.gz" for cause in ("noise", "blur")]
    total = sum(nib.load(file).get_fdata() for file in files)
    row = scores[(scores.scan == scan) & (scores.metric == "artefact_uncertainty") & (scores.aggregation == "mean")]
    assert row.value.item() == pytest.approx(total.mean(), rel=1e-6)
    scan_file = nib.load(results / "conditions/sim-noise" / f"{scan}_T1w.nii.gz")
    assert np.array_equal(nib.load(files[0]).affine, scan_file.affine)


def test_no_anatomy_is_both_trained_on_and_tested(results):
    subjects = pd.read_csv(results / "cohort/manifest.tsv", sep="\t")
    test = set(subjects[subjects.role == "test"].anatomy)
    assert test and not test & set(subjects[subjects.role != "test"].anatomy)


def test_labels_of_the_test_head_agree_with_its_surfaces(results):
    table = pd.read_csv(results / "cohort/anatomies/s1/agreement.csv").set_index(["structure", "measure"]).value
    assert table["cortical GM", "dice"] > 0.85 and table["WM below the cortex", "dice"] > 0.85
    assert 0.9 < table["cortical GM", "volume_ratio"] < 1.2 and table["cortex in the brain mask", "fraction"] > 0.95


def test_each_model_tells_what_it_was_made_from(results):
    card = json.loads((results / "models/teacher-noise/rep-0/model.json").read_text())
    assert card["network"]["causes"] == ["task", "noise"] and card["artefacts"].keys() == {"noise"}
    assert card["versions"]["torch"].startswith("2.13") and card["versions"]["commit"]
    assert card["artefacts"]["noise"]["snr_db"] == [20.0, -10.0]  # the range that it was trained on
    assert {"intensity", "training", "corruption", "augmentation", "spacing_mm", "seed"} <= card.keys()
    assert [len(part) for part in card["code"].split("+")] == [16, 16]  # of the training and of the artefact


def test_every_figure_has_its_rows_and_its_vector_form(results):
    drawn = sorted((results / "figures").glob("*.png"))
    assert {f"figure_{number}" for number in range(1, 11)} <= {path.stem for path in drawn}
    for path in drawn:
        assert path.with_suffix(".pdf").stat().st_size and len(pd.read_csv(path.with_suffix(".csv")))


def test_every_analysis_states_a_value_or_the_reason_why_not(results):
    found = {path.stem: pd.read_csv(path) for path in (results / "analysis").glob("*.csv")}
    main = {
        "correlation": "rho",
        "decoupling": "value",
        "risk_coverage": "value",
        "volumes": "coverage",
        "severity": "tau",
        "segmentation": "value",
        "ranks": "rank_low",
    }
    assert {*main, "difference", "leaderboard", "decisions"} <= found.keys()
    for name, column in main.items():
        assert len(found[name]) and (found[name][column].notna() | found[name]["note"].notna()).all(), name
    quantities = {
        "leakage",
        "task_drift",
        "attribution",
        "attribution_accuracy",
        "decoupling_index",
        "additivity_slope",
        "head_correlation",
        "naming_accuracy",
        "share_inside",
        "share_inside_gain",
    }
    assert set(found["decoupling"]["quantity"]) == quantities
    validation = pd.read_csv(results / "conditions/validation/scans.tsv", sep="\t")
    assert sorted(validation["artefact"]) == ["blur", "noise", "none"]
    subjects = pd.read_csv(results / "cohort/manifest.tsv", sep="\t").set_index("subject")
    assert set(subjects.loc[validation["subject"], "role"]) == {"validation"}


def test_a_second_run_does_nothing_and_says_so(smoke_project):
    assert "Nothing to be done" in smoke_project.snakemake("--configfile", "config/smoke.yaml")


def contents(folder):
    """Return file → its bytes; compressed ones without the time of their making."""
    return {
        path.relative_to(folder): gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def test_same_seed_same_scans_networks_and_scores(smoke_project, tmp_path):
    again = smoke_project.copy_to(tmp_path / "again")
    run, scored = again.folder / RUN, f"{RUN}/scores/student/rep-0/sim-noise.csv"
    before = {name: contents(run / name) for name in ("conditions", "models", "scores/student/rep-0")}
    for made in ("conditions", "models", "predictions", "scores"):
        shutil.rmtree(run / made)
    conditions = [f"{RUN}/conditions/{path.name}" for path in (smoke_project.folder / RUN / "conditions").iterdir()]
    again.snakemake("--configfile", "config/smoke.yaml", "--", scored, *conditions)
    assert contents(run / "conditions") == before["conditions"] and len(conditions) == 8
    assert {path: data for path, data in before["models"].items() if path.suffix == ".safetensors"} == {
        path: data for path, data in contents(run / "models").items() if path.suffix == ".safetensors"
    }
    assert (again.folder / scored).read_bytes() == before["scores/student/rep-0"][Path("sim-noise.csv")]


@pytest.mark.slow
def test_same_seed_same_scores_byte_for_byte_one_job_after_the_other_too(smoke_project, tmp_path):
    again = smoke_project.copy_to(tmp_path / "again")
    first = (again.folder / RUN / "scores.csv").read_bytes()
    for made in ("conditions", "models", "predictions", "scores"):
        shutil.rmtree(again.folder / RUN / made)
    (again.folder / RUN / "scores.csv").unlink()
    again.snakemake("--cores", "1", "--configfile", "config/smoke.yaml", "--", f"{RUN}/scores.csv")
    assert (again.folder / RUN / "scores.csv").read_bytes() == first


def test_snakemakes_own_report_works_offline(smoke_project, tmp_path):
    page = tmp_path / "report.html"
    smoke_project.snakemake("--configfile", "config/smoke.yaml", "--report", str(page))
    text = page.read_text()
    assert "figure_7" in text and 'src="http' not in text
