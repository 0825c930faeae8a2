"""Bad input stops before any training, with one sentence that names the culprit and what to do."""

import pytest


@pytest.fixture
def project(bare_project, tmp_path):
    return bare_project.copy_to(tmp_path / "project")


def refused(project, *named):
    printed = project.snakemake("--dry-run", "--configfile", "config/smoke.yaml", check=False)
    assert "Job stats" not in printed  # nothing was planned
    assert "Traceback" not in printed and "in schema" not in printed and len(printed) < 2000, printed
    for word in named:
        assert word in printed, printed[-3000:]


def test_misspelt_key(project):
    project.edit("config/smoke.yaml", "use_artefacts:", "use_artifacts:")
    refused(project, "use_artifacts")


def test_misspelt_key_of_a_block(project):
    project.edit("config/config.yaml", "rotation_deg", "rotation_degrees")
    refused(project, "rotation_degrees")


def test_misspelt_setting_of_an_artefact(project):
    project.edit("config/config.yaml", "snr_db:", "snr:")
    refused(project, "artefacts.noise", "snr")


def test_artefact_without_a_module(project):
    project.edit("config/smoke.yaml", "use_artefacts: [noise, blur]", "use_artefacts: [noise, eddy]")
    refused(project, "eddy", "src/decoupled_qc/artefacts/eddy.py")


def test_artefact_without_settings(project):
    project.edit("config/config.yaml", "  noise:\n    snr_db: [20.0, -10.0]\n    signal_mask: volume\n", "")
    refused(project, "artefacts.noise")


def test_head_that_nothing_fetches(project):
    head = "    icbm125: {train: 1, validation: 0, test: 0, optional: false}"
    project.edit("config/smoke.yaml", "    s1: {test: 3}", f"    s1: {{test: 3}}\n{head}")
    refused(project, "unknown head 'icbm125'", "icbm152")


def test_cohort_of_scans_without_its_path(project):
    printed = project.snakemake("--dry-run", "--configfile", "config/adni.yaml", check=False)
    assert "cohort.scans.path is not set: give the path that the source 'table' reads" in printed, printed[-3000:]


def test_misspelt_simulator_of_stand_ins(project):
    project.edit("config/smoke.yaml", "[torchio-motion, torchio-noise]", "[torchio-moton, torchio-noise]")
    refused(project, "test.stand_ins.simulators.0", "'torchio-moton' is not one of", "torchio-motion")


@pytest.mark.parametrize("name", ["studnet", "coupled"])
def test_network_of_the_model_folder_that_is_not_there_or_cannot_tell_causes_apart(project, name):
    project.edit("config/config.yaml", "network: student", f"network: {name}")
    refused(project, f"reference.network '{name}' is no network that tells causes apart: use one of student, gated")


def test_a_run_that_fails_ends_with_what_to_do(bare_project, tmp_path):
    project = bare_project.copy_to(tmp_path / "project")
    if (project.folder / "resources").is_symlink():
        (project.folder / "resources").unlink()
    (project.folder / "workflow/scripts/fetch_head.py").write_text('raise RuntimeError("the lamp is out")\n')
    call = ("--configfile", "config/smoke.yaml", "--", "resources/heads/icbm152")
    printed = project.snakemake(*call, check=False)
    assert "the lamp is out" in printed and printed.count("then give the same command again.") == 1
