"""The contract of reruns: after an edit exactly the right jobs are planned, no more and no less."""

import pytest

TRAININGS = ("train_task", "train_teacher", "train_student")


@pytest.fixture
def project(smoke_project, tmp_path):
    return smoke_project.copy_to(tmp_path / "project")


def trained(planned):
    return {output for rule in TRAININGS for output in planned.get(rule, ())}


def test_nothing_changed_nothing_reruns(project):
    assert project.planned() == {}


def test_touch_comment_and_docstring_rerun_nothing(project):
    (project.folder / "workflow/scripts/train.py").touch()
    project.edit("src/decoupled_qc/network.py", "class DecoupledUNet", "# A remark.\nclass DecoupledUNet")
    project.edit("src/decoupled_qc/training/losses.py", "Return the mean likelihood", "Give the mean likelihood")
    assert project.planned() == {}


def test_one_artefacts_function_reruns_its_teacher_the_student_and_what_follows(project):
    project.edit("src/decoupled_qc/artefacts/blur.py", "def apply(", "EDITED = True\n\n\ndef apply(")
    planned = project.planned()
    assert trained(planned) == {"models/teacher-blur/rep-0", "models/student/rep-0"}
    assert planned["simulate"] == {"conditions/sim-blur"} and planned["sweep"] == {"conditions/sweep-blur"}
    assert {"predict", "score", "gather_scores", "correlate", "table_1", "report"} <= planned.keys()
    assert not {"make_subjects", "take_real", "keep_clean"} & planned.keys()


def test_one_artefacts_config_block_reruns_the_same(project):
    project.edit("config/config.yaml", "ratio: [2.0, 12.0]", "ratio: [2.0, 11.0]")
    planned = project.planned()
    assert trained(planned) == {"models/teacher-blur/rep-0", "models/student/rep-0"}
    assert planned["simulate"] == {"conditions/sim-blur"}


def test_an_artefact_that_other_teachers_see_as_well_reruns_them_too(bare_project, tmp_path):
    project = bare_project.copy_to(tmp_path / "project")
    stub = "from pathlib import Path\n\nPath(snakemake.output[0]).mkdir(parents=True)\n"
    (project.folder / "workflow/scripts/train.py").write_text(stub)
    manifest = project.folder / "results/smoke/cohort/manifest.tsv"
    manifest.parent.mkdir(parents=True)
    manifest.touch()
    (project.folder / "others.yaml").write_text("corruption: {other_probability: 0.5}\ntraining: {route: routed}\n")
    target = ("--allowed-rules", *TRAININGS, "--", "results/smoke/models/student/rep-0")
    asked = ("config/smoke.yaml", "others.yaml", *target)
    project.snakemake("--configfile", *asked)
    assert project.planned(*asked) == {}
    project.edit("src/decoupled_qc/artefacts/blur.py", "def apply(", "EDITED = True\n\n\ndef apply(")
    others = {f"models/{name}/rep-0" for name in ("teacher-noise", "teacher-blur", "student")}
    assert trained(project.planned(*asked)) == others


def test_one_more_artefact_trains_its_teacher_and_the_student(project):
    project.edit("config/smoke.yaml", "use_artefacts: [noise, blur]", "use_artefacts: [noise, blur, spike]")
    planned = project.planned()
    assert trained(planned) == {"models/teacher-spike/rep-0", "models/student/rep-0"}
    assert planned["simulate"] == {"conditions/sim-spike"}
    assert planned["sweep"] == {"conditions/sweep-spike"} and "mix" not in planned


def test_the_network_reruns_every_training_but_no_simulation(project):
    project.edit("src/decoupled_qc/network.py", "nn.LeakyReLU(0.01", "nn.LeakyReLU(0.02")
    planned = project.planned()
    teachers = {f"models/teacher-{name}/rep-0" for name in ("noise", "blur")}
    assert trained(planned) == {"models/task/rep-0", "models/student/rep-0"} | teachers
    assert not {"simulate", "sweep", "make_subjects"} & planned.keys()


def test_the_teachers_steps_keep_the_task_network(project):
    project.edit("config/smoke.yaml", "steps: 11", "steps: 12")
    planned = project.planned()
    assert "train_task" not in planned and len(planned["train_teacher"]) == 2


def test_how_a_training_is_watched_and_its_scans_are_looked_at_is_no_part_of_a_network(project):
    watched = {"log_every: 4": "log_every: 3", "look_every: 0.25": "look_every: 0.5", "n_scans: 1": "n_scans: 2"}
    for old, new in watched.items():
        project.edit("config/smoke.yaml", old, new)
    project.edit("config/config.yaml", "max_skipped: 20", "max_skipped: 10")
    assert project.planned() == {}
    project.edit("config/smoke.yaml", "overlap: 0.25", "overlap: 0.5")
    planned = project.planned()
    assert not trained(planned) and len(planned["predict"]) > 1


def test_where_teachers_see_each_others_artefacts_one_more_trains_them_all(project):
    (project.folder / "config/seen.yaml").write_text(
        "corruption: {other_probability: 0.8}\ntraining: {route: routed}\n"
    )
    overlays = ("config/smoke.yaml", "config/seen.yaml")
    project.snakemake("--touch", "--configfile", *overlays)
    assert not trained(project.planned(*overlays))
    project.edit("config/smoke.yaml", "use_artefacts: [noise, blur]", "use_artefacts: [noise, blur, spike]")
    teachers = {f"models/teacher-{name}/rep-0" for name in ("noise", "blur", "spike")}
    assert trained(project.planned(*overlays)) == teachers | {"models/student/rep-0"}


def test_other_volumes_under_the_same_names_train_and_test_again(project):
    """Once they are made and listed; the plan before that follows from the rules alone."""
    project.edit("config/config.yaml", "scale_sd: 0.03", "scale_sd: 0.06")
    project.snakemake("--configfile", "config/smoke.yaml", "--", "results/smoke/cohort/manifest.tsv")
    planned = project.planned()
    assert len(trained(planned)) == 4 and "make_subjects" not in planned
    assert {"keep_clean", "simulate", "sweep", "mix", "validation", "take_real"} <= planned.keys()


def test_a_measure_scores_anew_and_predicts_nothing_anew(project):
    project.edit("src/decoupled_qc/measures/efc.py", "HIGHER_IS_BETTER = False", "HIGHER_IS_BETTER = True")
    planned = project.planned()
    assert len(planned["score"]) > 1 and planned["correlate"]
    assert not {"train_task", "predict", "simulate", "score_baseline"} & planned.keys()


def test_a_scores_direction_reaches_the_statistics_though_the_scores_stay_as_they_are(project):
    """Statistics load it by name: with the scores already made anew, equal ones, nothing else would tell them."""
    project.edit("src/decoupled_qc/measures/efc.py", "HIGHER_IS_BETTER = False", "HIGHER_IS_BETTER = True")
    project.snakemake("--touch", "--until", "score", "--configfile", "config/smoke.yaml")
    planned = project.planned().keys()
    assert {"correlate", "rank_scores", "cover_risk", "figure_leaderboard", "table_1"} <= planned
    assert not {*TRAININGS, "predict", "simulate", "score"} & planned


def test_a_figure_function_redraws_that_figure_only(project):
    project.edit("src/decoupled_qc/figures/figure_7.py", "\nimport", "\nEDITED = True\nimport")
    assert project.planned().keys() == {"figure_7", "report"}


def test_a_figure_beyond_the_papers_redraws_that_figure_only(project):
    project.edit("src/decoupled_qc/figures/figure_leakage.py", "LIMIT_SD = 30", "LIMIT_SD = 20")
    assert project.planned().keys() == {"figure_leakage", "report"}


def test_another_run_leaves_this_one_alone(project):
    overlay = project.folder / "config" / "other.yaml"
    overlay.write_text("run: other\n")
    planned = project.planned("config/smoke.yaml", "config/other.yaml")
    assert {*TRAININGS, "gather_scores"} <= planned.keys()
    assert project.planned() == {}


def test_committed_figures_do_not_keep_a_fresh_clone_from_running(bare_project, tmp_path):
    """A clone holds results/demo's figures and tables, newer than nothing: every network is trained all the same."""
    project = bare_project.copy_to(tmp_path / "clone")
    for name in ("figures/figure_7.png", "tables/table_1.csv", "scores.csv", "analysis/correlation.csv"):
        file = project.folder / "results/smoke" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    planned = project.planned()
    assert len(trained(planned)) == 4
    assert {"gather_scores", "correlate", "table_1", "figure_7"} <= planned.keys()


def test_runs_that_share_a_head_do_not_fetch_it_anew_for_each_other(bare_project, tmp_path):
    """One may do without it and the other not: that is no part of what the head is."""
    project = bare_project.copy_to(tmp_path / "project")
    (project.folder / "resources").unlink(missing_ok=True)
    fetched = "from pathlib import Path\n\nPath(snakemake.output[0], 'any').mkdir(parents=True)\n"
    (project.folder / "workflow/scripts/fetch_head.py").write_text(fetched)
    target = ("--", "resources/heads/colin27")
    overlays = []
    for name, optional in (("one", "true"), ("other", "false")):
        overlays.append(f"{name}.yaml")
        head = f"colin27: {{train: 1, optional: {optional}}}"
        (project.folder / overlays[-1]).write_text(f"run: {name}\ncohort: {{anatomies: {{{head}}}}}\n")
    project.snakemake("--configfile", "config/smoke.yaml", overlays[0], *target)
    assert (project.folder / "resources/heads/colin27/any").is_dir()
    for overlay in overlays:
        assert project.planned("config/smoke.yaml", overlay, *target) == {}, overlay
