"""What a cluster does to a run: kills, cancels, loses nodes, runs out of memory."""

import re
import shutil

import cluster as slurm
import pytest

pytestmark = pytest.mark.slurm
RUN = "results/smoke"
TEACHERS = (f"{RUN}/models/teacher-noise/rep-0", f"{RUN}/models/teacher-blur/rep-0")


def remove(project, *paths):
    for path in paths:
        shutil.rmtree(project.folder / path)


def weights(project, teacher):
    return (project.folder / teacher / "weights.safetensors").read_bytes()


def test_a_killed_snakemake_started_again_neither_repeats_nor_trusts_half_work(submitted, project, submit):
    names = ("clean", "sim-noise", "sim-blur", "sweep-noise", "sweep-blur", "real")
    conditions = [f"{RUN}/conditions/{name}" for name in names]
    remove(project, *conditions)
    first = submit(project, "--jobs", "2", "--", *conditions)
    slurm.wait_for(lambda: re.search(r"[1-4] of 6 steps", first.text), 300, "a condition or more")
    first.kill()
    slurm.run("scancel", "--user", "root")
    slurm.wait_for(lambda: not slurm.run("squeue", "-h"), 60, "an empty queue")
    there = [path for path in conditions if (project.folder / path).is_dir()]
    finished = {path: (project.folder / path).stat().st_mtime_ns for path in there}
    project.snakemake("--unlock", *("--configfile", "config/smoke.yaml"))
    again = submit(project, "--", *conditions)
    assert again.wait() == 0, again.text[-3000:]
    assert finished and len(finished) < 6
    for path in conditions:
        folder = project.folder / path
        assert (folder / "scans.tsv").read_bytes() == (submitted[0].folder / path / "scans.tsv").read_bytes()
        assert path not in finished or folder.stat().st_mtime_ns == finished[path]
    assert not list((project.folder / RUN / "conditions").glob(".partial-*"))


def test_a_job_that_fails_for_good_is_named_with_its_log_and_others_go_on(project, submit):
    fault = 'if artefact == "blur":\n    raise RuntimeError("the lamp is out")\n'
    project.edit("workflow/scripts/sweep.py", "\n\ndef make(", f"{fault}\n\ndef make(")
    remove(project, *(f"{RUN}/conditions/sweep-{name}" for name in ("noise", "blur")))
    sweeps = (f"{RUN}/conditions/sweep-noise", f"{RUN}/conditions/sweep-blur")
    submission = submit(project, "--retries", "0", "--", *sweeps)
    assert submission.wait() != 0
    assert (project.folder / RUN / "conditions/sweep-noise/scans.tsv").is_file()
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
    assert [job["State"] in ("FAILED", "OUT_OF_MEMORY") for job in jobs] == [True, False]


def test_cancelled_and_powerless_trainings_go_on_to_the_same_weights(project, submit, cluster, tmp_path):
    project.edit("config/smoke.yaml", "training:\n", "training:\n  checkpoint_minutes: 0\n")
    project.edit("config/smoke.yaml", "steps: 11", "steps: 400")
    project.edit("config/smoke.yaml", "log_every: 4", "log_every: 1")
    remove(project, *TEACHERS)
    undisturbed = project.copy_to(tmp_path / "undisturbed")
    submission = submit(project, "--", *TEACHERS)

    def log_of(teacher):
        file = project.folder / RUN / "logs/models" / teacher / "rep-0.log"
        return file.read_text() if file.is_file() else ""

    def steps(teacher):
        return log_of(teacher).count("  step ")

    slurm.wait_for(lambda: min(steps("teacher-noise"), steps("teacher-blur")) > 5, 300, "both teachers' first steps")
    queue = [line.split() for line in slurm.run("squeue", "-h", "-o", "%i %k").splitlines()]
    (job,) = [number for number, comment in queue if comment.endswith("noise_0")]
    slurm.run("scancel", job)
    slurm.wait_for(lambda: "Resuming at step" in log_of("teacher-noise"), 300, "the cancelled teacher's resumption")
    cluster.kill_node("gpu1")
    cluster.start_node("gpu1")
    assert submission.wait() == 0, submission.text[-3000:]
    assert "Resuming at step" in log_of("teacher-noise") and "Resuming at step" in log_of("teacher-blur")
    undisturbed.snakemake("--configfile", "config/smoke.yaml", "--config", "gpus_per_job=1", "--", *TEACHERS)
    for teacher in TEACHERS:
        assert weights(project, teacher) == weights(undisturbed, teacher)


def test_a_training_at_the_end_of_its_time_saves_and_goes_on_in_the_next_attempt(project, submit):
    project.edit("config/smoke.yaml", "steps: 11", "steps: 1000000")
    shutil.rmtree(project.folder / TEACHERS[0])
    time = "train_teacher:runtime=2", "train_teacher:slurm_extra=--signal=TERM@30"  # comes up to 60 s too early
    submission = submit(project, "--set-resources", *time, "--", TEACHERS[0])
    log = project.folder / RUN / "logs/models/teacher-noise/rep-0.log"
    slurm.wait_for(lambda: log.is_file() and "Resuming at step" in log.read_text(), 400, "a second piece")
    assert int(re.search(r"Resuming at step (\d+) of 1000000", log.read_text())[1]) > 0
    (first,) = submission.jobs("train_teacher")
    assert first["State"] == "FAILED"  # it left by itself: not TIMEOUT
