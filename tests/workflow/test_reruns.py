"""The contract of reruns: after an edit exactly the right jobs are listed, no more and no less."""

import pytest

STUDENT = {"train_student"}
SIMULATED = ("noise", "blur")


@pytest.fixture
def project(smoke_project, tmp_path):
    return smoke_project.copy_to(tmp_path / "project")


def rules(jobs):
    return {job.split()[0] for job in jobs}


def trainings(jobs):
    return {job for job in jobs if job.startswith("train_")}


def test_nothing_changed_nothing_reruns(project):
    assert project.planned() == set()
    assert "Nothing to be done" in project.snakemake("--configfile", "config/smoke.yaml")


def test_touch_comment_and_docstring_rerun_nothing(project):
    (project.folder / "workflow/scripts/train.py").touch()
    project.edit("src/decoupled_qc/network.py", "class DecoupledUNet", "# A remark.\nclass DecoupledUNet")
    project.edit("src/decoupled_qc/losses.py", "Return the mean likelihood loss", "Give the mean likelihood loss")
    assert project.planned() == set()


def test_one_artefacts_function_reruns_its_teacher_the_student_and_what_follows(project):
    project.edit("src/decoupled_qc/artefacts/blur.py", "def apply(", "EDITED = True\n\n\ndef apply(")
    jobs = project.planned()
    assert trainings(jobs) == {"train_teacher artefact=blur", "train_student"}
    simulated = {job for job in jobs if job.startswith("simulate ")}
    assert simulated == {"simulate condition=sim-blur", "simulate condition=sweep-blur"}
    assert {"predict", "score", "gather_scores", "correlate", "table_1", "report"} <= rules(jobs)


def test_one_artefacts_config_block_reruns_the_same(project):
    project.edit("config/config.yaml", "ratio: [2.0, 12.0]", "ratio: [2.0, 11.0]")
    assert trainings(project.planned()) == {"train_teacher artefact=blur", "train_student"}


def test_one_more_artefact_trains_its_teacher_and_the_student(project):
    project.edit("config/smoke.yaml", "use_artefacts: [noise, blur]", "use_artefacts: [noise, blur, spike]")
    jobs = project.planned()
    assert trainings(jobs) == {"train_teacher artefact=spike", "train_student"}
    assert {job for job in jobs if job.startswith("simulate ")} == {"simulate condition=sim-spike"}


def test_the_network_reruns_every_training_but_no_simulation(project):
    project.edit("src/decoupled_qc/network.py", "nn.LeakyReLU(0.01", "nn.LeakyReLU(0.02")
    jobs = project.planned()
    expected = {"train_task", "train_student", *(f"train_teacher artefact={name}" for name in SIMULATED)}
    assert trainings(jobs) == expected
    assert "simulate" not in rules(jobs)


def test_the_teachers_steps_keep_the_task_network(project):
    project.edit("config/smoke.yaml", "steps: 11", "steps: 12")
    assert "train_task" not in project.planned()


def test_a_figure_function_redraws_that_figure_only(project):
    project.edit("src/decoupled_qc/figures/figure_7.py", "import", "EDITED = True\nimport")
    assert rules(project.planned()) == {"figure_7", "report"}


def test_another_run_leaves_this_one_alone(project):
    overlay = project.folder / "config" / "other.yaml"
    overlay.write_text("run: other\n")
    jobs = project.planned("config/smoke.yaml", "config/other.yaml")
    assert {"train_task", "train_student", "gather_scores"} <= rules(jobs)
    assert project.planned() == set()
