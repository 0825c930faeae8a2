"""What a cluster does to trainings: cancelled, displaced, without power, out of time. They go on to the same weights."""

import re
import shutil

import cluster as slurm
import pytest

from decoupled_qc.status import read_status

pytestmark = pytest.mark.slurm
RUN = "results/smoke"
TEACHERS = ("teacher-noise", "teacher-blur")
MODELS = tuple(f"{RUN}/models/{teacher}/rep-0" for teacher in TEACHERS)


def lengthen(project, steps):
    """Set the teachers' number of steps, save after each, and forget those that are trained."""
    project.edit("config/smoke.yaml", "training:\n", "training:\n  checkpoint_minutes: 0\n")
    project.edit("config/smoke.yaml", "steps: 11", f"steps: {steps}")
    project.edit("config/smoke.yaml", "log_every: 4", "log_every: 1")
    for model in MODELS:
        shutil.rmtree(project.folder / model)


def log_of(project, teacher):
    file = project.folder / RUN / "logs/models" / teacher / "rep-0.log"
    return file.read_text() if file.is_file() else ""


def wait_for_steps(project, *teachers):
    begun = [f"several steps of {teacher}" for teacher in teachers]
    for teacher, what in zip(teachers, begun, strict=True):
        slurm.wait_for(lambda name=teacher: log_of(project, name).count("  step ") > 5, slurm.PATIENCE_S, what)


def wait_for_resumption(project, *teachers):
    for teacher in teachers:
        resumed = f"the resumption of {teacher}"
        slurm.wait_for(lambda name=teacher: "Resuming at step" in log_of(project, name), slurm.PATIENCE_S, resumed)


def job_of(teacher):
    """Return the SLURM id of a teacher's job in the queue."""
    queue = [line.split() for line in slurm.run("squeue", "-h", "-o", "%i %k").splitlines()]
    (job,) = [number for number, comment in queue if comment.endswith(f"{teacher.removeprefix('teacher-')}_0")]
    return job


def weights(project):
    return [(project.folder / model / "weights.safetensors").read_bytes() for model in MODELS]


@pytest.fixture(scope="module")
def ahead(submitted, tmp_path_factory):
    """The project before longer trainings of both teachers; and the weights that they end with when nothing happens."""
    project = submitted[0].copy_to(tmp_path_factory.mktemp("ahead") / "project")
    lengthen(project, 1000)
    undisturbed = project.copy_to(tmp_path_factory.mktemp("undisturbed") / "project")
    undisturbed.snakemake("--configfile", "config/smoke.yaml", "--config", "gpus_per_job=1", "--", *MODELS)
    return project, weights(undisturbed)


def test_a_cancelled_and_a_displaced_training_go_on_to_the_same_weights(ahead, submit, tmp_path):
    project, expected = ahead[0].copy_to(tmp_path / "project"), ahead[1]
    submission = submit(project, "--", *MODELS)
    wait_for_steps(project, *TEACHERS)
    displaced = job_of("teacher-blur")
    slurm.run("scancel", job_of("teacher-noise"))
    slurm.run("sbatch", "-p", "urgent", "--gpus=2", "-n1", "--mem=100", "-o", "/dev/null", "--wrap", "sleep 3")
    slurm.wait_for(lambda: slurm.state_of(displaced) == "PENDING", slurm.PATIENCE_S, "a training back in the queue")
    assert "the state is saved" in log_of(project, "teacher-blur")
    slurm.run("scontrol", "update", f"JobId={displaced}", "StartTime=now")  # SLURM would wait for two minutes
    wait_for_resumption(project, *TEACHERS)
    assert submission.wait() == 0, submission.text[-3000:]
    assert weights(project) == expected
    states = {job["State"].split()[0] for job in submission.jobs("train_teacher")}
    assert states == {"CANCELLED", "PREEMPTED", "COMPLETED"}
    again = [job["State"] for job in submission.jobs("train_teacher") if job["JobID"] == displaced]
    assert again == ["PREEMPTED", "COMPLETED"]  # the same job, which cost none of the attempts


def test_trainings_on_a_node_that_loses_its_power_go_on_to_the_same_weights(ahead, submit, cluster, tmp_path):
    project, expected = ahead[0].copy_to(tmp_path / "project"), ahead[1]
    submission = submit(project, "--", *MODELS)
    wait_for_steps(project, *TEACHERS)
    lost = {job_of(teacher) for teacher in TEACHERS}
    cluster.kill_node("gpu1")
    cluster.start_node("gpu1")
    for job in lost:
        slurm.wait_for(
            lambda number=job: slurm.state_of(number) == "PENDING", slurm.PATIENCE_S, f"job {job} in the queue"
        )
        slurm.run("scontrol", "update", f"JobId={job}", "StartTime=now")
    wait_for_resumption(project, *TEACHERS)
    assert submission.wait() == 0, submission.text[-3000:]
    assert weights(project) == expected
    assert {job["JobID"] for job in submission.jobs("train_teacher") if job["State"] == "NODE_FAIL"} == lost


def test_a_training_at_the_end_of_its_time_saves_and_goes_on_until_ctrl_c(project, submit):
    lengthen(project, 1_000_000)
    time = "train_teacher:runtime=2", "train_teacher:slurm_extra=--signal=TERM@30"  # comes up to 60 s too early
    submission = submit(project, "--set-resources", *time, "--", MODELS[0])
    wait_for_resumption(project, "teacher-noise")
    at = int(re.search(r"Resuming at step (\d+) of 1000000", log_of(project, "teacher-noise"))[1])
    assert at > 0
    (first,) = submission.jobs("train_teacher")
    assert first["State"] == "FAILED"  # it left by itself: not TIMEOUT

    wait_for_steps(project, "teacher-noise")
    status = read_status(project.folder / RUN).set_index("network").loc["teacher-noise/rep-0"]
    assert status["state"] == "training" and at < int(status["step"].partition("/")[0]) < 1_000_000
    assert status["left_min"] > 0

    submission.interrupt()
    assert submission.wait() != 0
    slurm.wait_for(lambda: not slurm.run("squeue", "-h"), slurm.PATIENCE_S, "an empty queue")
    assert read_status(project.folder / RUN).set_index("network").loc["teacher-noise/rep-0", "state"] == "saved"
