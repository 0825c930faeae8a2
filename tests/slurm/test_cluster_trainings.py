"""What a cluster does to trainings: cancelled, displaced, without power, out of time. They go on to the same weights."""

import re
import shutil

import cluster as slurm
import pytest

from decoupled_qc.training.status import read_status

pytestmark = pytest.mark.slurm
RUN = "results/smoke"
TEACHERS = ("teacher-noise", "teacher-blur")
MIX = f"{RUN}/conditions/mix"
MODELS = tuple(f"{RUN}/models/{teacher}/rep-0" for teacher in TEACHERS)


def log_of(project, teacher):
    file = project.folder / RUN / "logs/models" / teacher / "rep-0.log"
    return file.read_text() if file.is_file() else ""


def wait_for_steps(project, *teachers):
    begun = [f"several steps of {teacher}" for teacher in teachers]
    for teacher, what in zip(teachers, begun, strict=True):
        slurm.wait_for(lambda name=teacher: log_of(project, name).count("  step ") > 5, slurm.PATIENCE_S, what)


def resumed_at(project, teacher):
    """Return the step at which a training's last piece began; None if from the first one."""
    found = re.search(r"Resuming at step (\d+) of", log_of(project, teacher))
    return int(found[1]) if found else None


def wait_for_resumption(project, *teachers):
    """Return the steps at which trainings went on."""
    for teacher in teachers:
        resumed = f"the resumption of {teacher}"
        slurm.wait_for(lambda name=teacher: resumed_at(project, name) is not None, slurm.PATIENCE_S, resumed)
    steps = [resumed_at(project, teacher) for teacher in teachers]
    assert min(steps) > 0
    return steps


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
    project.edit("config/smoke.yaml", "training:\n", "training:\n  checkpoint_minutes: 0\n")
    project.edit("config/smoke.yaml", "steps: 11", "steps: 200")
    project.edit("config/smoke.yaml", "log_every: 4", "log_every: 1")
    project.snakemake("--configfile", "config/smoke.yaml", "--config", "gpus_per_job=1", "--", *MODELS)
    undisturbed = weights(project)
    for teacher, model in zip(TEACHERS, MODELS, strict=True):
        shutil.rmtree(project.folder / model)
        (project.folder / RUN / f"logs/models/{teacher}/rep-0.log").unlink()
    return project, undisturbed


def test_displaced_and_cancelled_trainings_go_on_to_the_same_weights(ahead, submit, tmp_path):
    project, expected = ahead[0].copy_to(tmp_path / "project"), ahead[1]
    submission = submit(project, "--", *MODELS)
    wait_for_steps(project, *TEACHERS)
    noise, blur = (job_of(teacher) for teacher in TEACHERS)
    slurm.run("sbatch", "-p", "urgent", "--gpus=2", "-n1", "--mem=100", "-o", "/dev/null", "--wrap", "sleep 3")
    for job in (noise, blur):
        slurm.wait_for(lambda each=job: slurm.state_of(each) == "PENDING", slurm.PATIENCE_S, f"job {job} in the queue")
        slurm.run("scontrol", "update", f"JobId={job}", "StartTime=now")  # SLURM would wait for two minutes
    at = wait_for_resumption(project, *TEACHERS)
    wait_for_steps(project, *TEACHERS)
    slurm.run("scancel", noise)
    slurm.run("scancel", "--batch", "--signal=TERM", blur)  # as SLURM tells a training that its time is nearly over
    assert submission.wait() == 0, submission.text[-3000:]
    assert weights(project) == expected
    assert all(resumed_at(project, teacher) > before for teacher, before in zip(TEACHERS, at, strict=True))
    states = {}
    for job in submission.jobs("train_teacher"):
        states.setdefault(job["JobID"], []).append(job["State"].split()[0])
    assert states.pop(blur) == ["PREEMPTED", "FAILED"]  # the same job twice: being displaced cost no attempt
    assert states.pop(noise) == ["PREEMPTED", "CANCELLED"]
    assert list(states.values()) == [["COMPLETED"]] * 2  # the next attempts


def test_trainings_outlive_their_slurmd_and_go_on_to_the_same_weights_when_their_node_loses_its_power(
    ahead, submit, cluster, tmp_path
):
    project, expected = ahead[0].copy_to(tmp_path / "project"), ahead[1]
    submission = submit(project, "--", *MODELS)
    wait_for_steps(project, *TEACHERS)
    lost = {job_of(teacher) for teacher in TEACHERS}
    cluster.restart_slurmd("gpu1")
    assert {slurm.state_of(job) for job in lost} == {"RUNNING"}
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


def test_at_the_end_of_its_time_a_training_saves_and_goes_on_until_ctrl_c_and_another_job_is_given_more(
    ahead, submit, tmp_path
):
    project = ahead[0].copy_to(tmp_path / "project")
    project.edit("config/smoke.yaml", "steps: 200", "steps: 1000000")
    teacher = (
        'train_teacher: {{slurm_partition: gpu, runtime: {}, mem_mb: 32000 * attempt, slurm_extra: "--signal=TERM@{}"}}'
    )
    project.edit("profiles/slurm/config.yaml", teacher.format(1440, 120), teacher.format(2, 15))  # 15 to 75 s before
    # Beside it a job that would sleep through its first minute and the next four.
    project.edit("profiles/slurm/config.yaml", "set-resources:\n", "set-resources:\n  mix: {runtime: attempt}\n")
    asleep = "\nif snakemake.resources.runtime == 1:\n    time.sleep(300)\n"
    project.edit("workflow/scripts/mix.py", "\n\ndef make(", f"import time\n{asleep}\n\ndef make(")
    shutil.rmtree(project.folder / MIX)
    submission = submit(project, "--", MODELS[0], MIX)
    (at,) = wait_for_resumption(project, "teacher-noise")
    (first,) = submission.jobs("train_teacher")
    assert first["State"] == "FAILED"  # it left by itself: not TIMEOUT
    slurm.wait_for(lambda: (project.folder / MIX).is_dir(), slurm.PATIENCE_S, "the mixtures")
    slurm.wait_for(lambda: len(submission.jobs("mix")) == 2, slurm.PATIENCE_S, "accounting")
    assert [job["State"] for job in submission.jobs("mix")] == ["TIMEOUT", "COMPLETED"]

    wait_for_steps(project, "teacher-noise")
    status = read_status(project.folder / RUN).set_index("network").loc["teacher-noise/rep-0"]
    assert status["state"] == "training" and at < int(status["step"].partition("/")[0]) < 1_000_000
    assert status["left_min"] > 0

    submission.interrupt()
    assert submission.wait() != 0
    slurm.wait_for(lambda: not slurm.run("squeue", "-h"), slurm.PATIENCE_S, "an empty queue")
    assert read_status(project.folder / RUN).set_index("network").loc["teacher-noise/rep-0", "state"] == "saved"
