"""What a cohort of local scans is made from is no output of a rule, and is read again when it changes all the same."""

import nibabel as nib
import numpy as np
import pytest

OVERLAY = """
run: own
cohort:
  source: bids
  scans: {path: bids, splits: earlier.tsv, roles: {train: 0.4, validation: 0.3, test: 0.3}, min_subjects: 6}
"""
CONFIGURATION = ("config/smoke.yaml", "own.yaml")


def write_scan(project, number, seed):
    folder = project.folder / f"bids/sub-{number:02d}/anat"
    folder.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 900, (12, 12, 12)).astype(np.int16)
    nib.save(nib.Nifti1Image(values, np.diag([2.0, 2, 2, 1])), folder / f"sub-{number:02d}_T1w.nii.gz")


@pytest.fixture
def project(bare_project, tmp_path):
    project = bare_project.copy_to(tmp_path / "project")
    for number in range(6):
        write_scan(project, number, number)
    (project.folder / "own.yaml").write_text(OVERLAY)
    (project.folder / "earlier.tsv").write_text("subject\trole\nsub-00\ttest\n")
    return project


def test_scans_tables_and_earlier_roles(project):
    made = [f"results/own/cohort/{name}.tsv" for name in ("audit", "splits")]

    def planned():
        return {"audit_scans", "split_scans"} & project.planned(*CONFIGURATION).keys()

    project.snakemake("--configfile", *CONFIGURATION, "--", *made)
    assert planned() == set()
    (project.folder / "earlier.tsv").write_text("subject\trole\nsub-00\ttrain\n")
    assert planned() == {"split_scans"}
    ratings = project.folder / "bids/derivatives/scores.tsv"
    ratings.parent.mkdir()
    ratings.write_text("bids_name\tscore\nsub-00_T1w\t2\n")
    assert planned() == {"audit_scans", "split_scans"}
    project.snakemake("--configfile", *CONFIGURATION, "--", *made)
    assert planned() == set()
    write_scan(project, 3, 33)
    assert planned() == {"audit_scans", "split_scans"}


def test_measures_of_another_tool_are_an_input_of_the_real_condition_alone(project):
    (project.folder / "measures.tsv").write_text("scan\tcjv\n")
    (project.folder / "measured.yaml").write_text("scoring: {measures: {table: measures.tsv, columns: [cjv]}}\n")
    asked = [f"results/own/scores/student/rep-0/{name}.csv" for name in ("real", "clean")]
    jobs = project.jobs("--configfile", *CONFIGURATION, "measured.yaml", "--", *asked)
    inputs = [job["input"] for job in jobs if job["rule"] == "score"]
    assert {"conditions/real" in read: "measures.tsv" in read for read in inputs} == {True: True, False: False}
    (project.folder / "measures.tsv").unlink()
    printed = project.snakemake("--dry-run", "--configfile", *CONFIGURATION, "measured.yaml", check=False)
    assert "measures.tsv does not exist: correct config key scoring.measures.table." in printed, printed[-2000:]


def test_scans_that_are_here_and_scans_to_fetch_are_not_both_taken(project):
    given = ("--configfile", "config/mrart.yaml", "--config", "cohort={scans: {path: bids}}")
    printed = project.snakemake("--dry-run", *given, check=False)
    assert "cohort.scans.path and cohort.scans.fetch are both set" in printed, printed[-2000:]
