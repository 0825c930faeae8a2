"""What a cluster does to a run: Snakemake is killed, a job fails for good, another needs more memory."""

import filecmp
import re
import shutil
import sys

import cluster as slurm
import pytest

pytestmark = pytest.mark.slurm
RUN = "results/smoke"


def assert_same_files(folder, before):
    names = sorted(file.name for file in before.iterdir())
    assert names and filecmp.cmpfiles(before, folder, names, shallow=False) == (names, [], [])


def remove(project, *paths):
    for path in paths:
        shutil.rmtree(project.folder / path)


def test_a_killed_snakemake_started_again_neither_repeats_nor_trusts_half_work(submitted, project, submit):
    names = ("clean", "sim-noise", "sim-blur", "sweep-noise", "sweep-blur", "real")
    conditions = [f"{RUN}/conditions/{name}" for name in names]
    for script in ("keep_clean", "simulate", "sweep", "real"):  # so slow that a folder is seen half written
        begin = "\n\ndef make(image, subject, number):\n"
        project.edit(f"workflow/scripts/{script}.py", begin, f"\nimport time\n{begin}    time.sleep(3)\n")
    remove(project, *conditions)
    first = submit(project, "--jobs", "2", "--", *conditions)

    def half_written():
        return list((project.folder / RUN / "conditions").glob(".partial-*"))

    def amid():
        begun = [folder for folder in half_written() if not any(folder.iterdir())]  # so seconds from its end
        return re.search(r"[1-4] of 6 steps", first.text) and begun

    slurm.wait_for(amid, slurm.PATIENCE_S, "a condition or more, and half of another")
    first.kill()
    slurm.run("pkill", "--signal", "KILL", "--full", str(project.folder))  # jobs that scancel tells would tidy up
    slurm.run("scancel", "--user", "root")
    slurm.wait_for(lambda: not slurm.run("squeue", "-h"), slurm.PATIENCE_S, "an empty queue")
    assert half_written()
    there = [path for path in conditions if (project.folder / path).is_dir()]
    finished = {path: (project.folder / path).stat().st_mtime_ns for path in there}
    project.snakemake("--unlock", *("--configfile", "config/smoke.yaml"))
    again = submit(project, "--", *conditions)
    assert again.wait() == 0, again.text[-3000:]
    assert finished and len(finished) < 6
    assert again.text.count("has been submitted with SLURM jobid") == 6 - len(finished)
    for path in conditions:
        assert_same_files(project.folder / path, submitted[0].folder / path)
        assert path not in finished or (project.folder / path).stat().st_mtime_ns == finished[path]
    assert not half_written()


@pytest.mark.parametrize("status_command", ["sacct", "squeue"])
def test_a_job_that_fails_for_good_is_named_with_its_log_and_others_go_on(submitted, project, submit, status_command):
    fault = 'if artefact == "blur":\n    raise RuntimeError("the lamp is out")\nimport time\ntime.sleep(12)\n'
    project.edit("workflow/scripts/sweep.py", "\n\ndef make(", f"{fault}\n\ndef make(")
    sweeps = tuple(f"{RUN}/conditions/sweep-{name}" for name in ("noise", "blur"))
    needs_noise = f"{RUN}/predictions/student/rep-0/sweep-noise"
    remove(project, *sweeps, needs_noise)
    targets = (*sweeps, needs_noise)
    submission = submit(project, "--retries", "0", "--slurm-status-command", status_command, "--", *targets)
    assert submission.wait() != 0
    assert submission.text.index("Error in rule sweep") < submission.text.index("Predicting condition sweep-noise")
    assert_same_files(project.folder / needs_noise, submitted[0].folder / needs_noise)
    assert not (project.folder / RUN / "conditions/sweep-blur").exists()
    (failed,) = [job for job in submission.jobs("sweep") if job["State"] == "FAILED"]
    told = submission.text[submission.text.index("Error in rule sweep") :]
    log = f"{RUN}/logs/conditions/sweep-blur.log"
    for fact in ("sweep-blur", failed["JobID"], log, "RuntimeError: the lamp is out"):
        assert fact in told
    assert "artefact=blur" in told or "sweep/blur" in told  # the wildcard, in the path of SLURM's log


def test_a_job_over_its_memory_is_tried_again_with_more(project, submit):
    remove(project, f"{RUN}/conditions/clean")
    submission = submit(project, "--set-resources", "keep_clean:mem_mb=200*attempt**3", "--", f"{RUN}/conditions/clean")
    assert submission.wait() == 0, submission.text[-3000:]
    jobs = submission.jobs("keep_clean")
    assert [job["ReqMem"] for job in jobs] == ["200M", "1600M"]
    assert jobs[0]["State"] in ("FAILED", "OUT_OF_MEMORY") and jobs[1]["State"] == "COMPLETED"
    logs = (project.folder / ".snakemake/slurm_logs/rule_keep_clean").rglob("*.log")
    assert any("memory limit" in log.read_text() for log in logs)


def test_files_that_show_late_on_the_shared_file_system_are_waited_for(submitted, project, submit, cluster):
    """Else Snakemake would call the job failed."""
    made = ("conditions/sim-noise", "predictions/student/rep-0/sim-noise")
    remove(project, *(f"{RUN}/{path}" for path in made))
    cluster.show_late(project.folder / RUN / made[0], seconds=6)
    submission = submit(project, "--retries", "0", "--", f"{RUN}/{made[1]}")
    assert submission.wait() == 0, submission.text[-3000:]
    assert "Waiting at most 10 seconds for missing files" in submission.text
    for path in made:
        assert_same_files(project.folder / RUN / path, submitted[0].folder / RUN / path)


def test_options_choose_partition_account_and_arrays_and_jobs_see_their_nodes_scratch(project, submit, cluster):
    project.edit(
        "workflow/scripts/simulate.py",
        "\n\ndef make(",
        "import logging, os, sys, tempfile\n"
        'logging.info("scratch %s proxy %s by %s", tempfile.gettempdir(), os.environ["https_proxy"], sys.executable)'
        "\n\n\ndef make(",
    )
    conditions = [f"{RUN}/conditions/sim-{name}" for name in ("noise", "blur")]
    remove(project, *conditions)
    site = ("slurm_partition=gpu", "slurm_account=test", "runtime=20", "mem_mb=4000")
    submission = submit(project, "--default-resources", *site, "--slurm-array-jobs", "simulate", "--", *conditions)
    assert submission.wait() == 0, submission.text[-3000:]
    jobs = submission.jobs("simulate")
    assert {job["JobID"].partition("_")[2] for job in jobs} == {"1", "2"}
    assert {(job["Partition"], job["Account"]) for job in jobs} == {("gpu", "test")}
    for name in ("noise", "blur"):
        log = (project.folder / RUN / f"logs/conditions/sim-{name}.log").read_text()
        assert f"scratch {cluster.folder}/scratch-gpu1 proxy http://127.0.0.1:9 by {sys.executable}" in log
