"""The smoke configuration from end to end through sbatch."""

import json
import re
from itertools import pairwise

import pytest

from decoupled_qc import cli
from decoupled_qc.costs import cost_table
from decoupled_qc.provenance import fingerprint

pytestmark = pytest.mark.slurm
RUN = "results/smoke"
GATHERING = ("gather_scores", "compare_replicates", "report", "fetch_head")
TRAININGS = ("train_task", "train_teacher", "train_student")


def test_jobs_are_slurm_jobs_that_name_their_rule_and_wildcards_but_for_work_of_seconds(submitted):
    project, submission = submitted
    jobs = submission.jobs()
    assert {job["State"] for job in jobs} == {"COMPLETED"}
    assert (project.folder / RUN / "report.html").is_file()
    assert {job["Comment"] for job in submission.jobs("train_teacher")} == {
        f"rule_train_teacher_wildcards_{name}_0" for name in ("noise", "blur")
    }
    assert len(jobs) == submission.text.count("has been submitted with SLURM jobid")
    here = {*re.findall(r"^localrule (\w+):$", submission.text, re.MULTILINE)} - {"all"}
    there = {job["Comment"].removeprefix("rule_").partition("_wildcards")[0] for job in jobs}
    assert {"simulate", "correlate", *TRAININGS} <= there and not here & there
    assert all(rule.startswith(("figure_", "table_")) or rule in GATHERING for rule in here)


def test_trainings_have_their_own_gpus_and_never_two_the_same(submitted, cluster):
    _, submission = submitted
    jobs = [job for rule in TRAININGS for job in submission.jobs(rule)]
    assert len(jobs) == 4
    for job in (*jobs, *submission.jobs("predict")):
        gpus = 2 if job["Comment"].startswith("rule_train_student") else 1
        assert job["Partition"] == "gpu" and f"gres/gpu={gpus}" in job["AllocTRES"]
    use = cluster.device_use()
    assert {job["JobID"] for job in jobs} <= {job for spans in use.values() for *_, job in spans}
    for spans in use.values():
        assert all(first[1] <= second[0] for first, second in pairwise(spans)), spans
    assert all(job["Partition"] == "cpu" for job in submission.jobs("simulate"))


def test_teachers_run_at_the_same_time_and_the_student_waits_for_all(submitted):
    _, submission = submitted
    first, second = submission.jobs("train_teacher")
    assert max(first["Start"], second["Start"]) < min(first["End"], second["End"])
    (student,) = submission.jobs("train_student")
    assert student["Start"] >= max(first["End"], second["End"])


def test_a_student_on_two_gpus_is_one_training_of_two_processes_on_one_node(submitted):
    project, submission = submitted
    (student,) = submission.jobs("train_student")
    assert student["NodeList"] == "gpu1"
    # No device here is a real one.
    assert "Training on the CPU in 2 processes." in (project.folder / RUN / "logs/models/student/rep-0.log").read_text()
    assert (project.folder / RUN / "models/student/rep-0/weights.safetensors").is_file()


def test_fingerprints_of_the_jobs_are_those_of_the_submitting_process(submitted):
    project, _ = submitted
    here = fingerprint(project.folder / "workflow/scripts/train.py", package_root=project.folder / "src/decoupled_qc")
    cards = list((project.folder / RUN / "models").glob("*/rep-0/model.json"))
    assert [json.loads(card.read_text())["code"].split("+")[0] for card in cards] == [here] * 4
    assert "Nothing to be done" in project.snakemake("--configfile", "config/smoke.yaml", "--config", "gpus_per_job=1")


def test_what_the_jobs_cost_is_gathered_from_all_nodes(submitted, capsys):
    project, _ = submitted
    run = project.folder / RUN
    costs = cost_table(run / "benchmarks", run / "logs", gpus_per_job=1).set_index("stage")
    assert costs.loc["models: teacher", "jobs"] == 2 and costs.loc["models: student", "peak_memory_gib"] > 0
    assert (costs.loc[["models: task", "predictions", "total"], ["cpu_hours", "gpu_hours"]] > 0).all(axis=None)
    assert "models: student" in (run / "report.html").read_text()
    assert cli.main(["status", str(run)]) == 0
    assert "4 of 4 begun networks are done" in capsys.readouterr().out
