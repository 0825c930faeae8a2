import pandas as pd
import pytest

from decoupled_qc.costs import cost_table

HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def write(folder, name, seconds, mib, cpu):
    file = folder / "benchmarks" / f"{name}.tsv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{HEADER}{seconds}\t0:00:00\t{mib}\t0\t0\t0\t0\t0\t0\t{cpu}\n")


def cost_of_student(folder, log_text, gpus_per_job):
    """The row of a student that trained for an hour, half of it at work, and left a log."""
    write(folder, "models/student/rep-0", 3600, 1024, 1800)
    log = folder / "logs/models/student/rep-0.log"
    log.parent.mkdir(parents=True)
    log.write_text(log_text)
    return cost_table(folder / "benchmarks", folder / "logs", gpus_per_job).set_index("stage").loc["models: student"]


@pytest.fixture
def table(tmp_path):
    write(tmp_path, "models/teacher-noise/rep-0", 7200, 2048, 3600)
    write(tmp_path, "models/teacher-blur/rep-0", 3600, 1024, 3600)
    write(tmp_path, "predictions/student/rep-0/clean", 1800, 512, 900)
    write(tmp_path, "scores/student/rep-0/clean", 36, "NA", "NA")
    return cost_table(tmp_path / "benchmarks", tmp_path / "logs", gpus_per_job=2).set_index("stage")


def test_hours_are_summed_and_memory_is_that_of_the_largest_job(table):
    assert list(table.loc["models: teacher"]) == [2, 3.0, 2.0, 6.0, 2.0]
    assert table.loc["total", "hours"] == pytest.approx(3.51) and table.loc["total", "jobs"] == 4
    assert table.loc["total", "peak_memory_gib"] == 2.0


def test_trainings_hold_all_gpus_and_predictions_one(table):
    assert table.loc["predictions", "gpu_hours"] == 0.5 and table.loc["scores", "gpu_hours"] == 0
    assert table.loc["total", "gpu_hours"] == 6.5


def test_a_training_that_was_given_more_gpus_than_the_others_costs_them(tmp_path):
    """As a cluster's profile may for the student alone."""
    student = cost_of_student(tmp_path, "2026-01-01 00:00:00,000  Training on 4 GPU.\n", gpus_per_job=1)
    assert student["gpu_hours"] == 4.0


def test_of_verdicts_the_batches_alone_hold_a_gpu(tmp_path):
    for name in ("batch-0", "scans", "predictions"):
        write(tmp_path, f"apply/{name}", 3600, 1024, 3600)
    table = cost_table(tmp_path / "benchmarks", tmp_path / "logs", gpus_per_job=2).set_index("stage")
    assert list(table.loc["apply", ["jobs", "hours", "gpu_hours"]]) == [3, 3.0, 1.0]


def test_a_job_too_short_to_be_measured_costs_nothing_but_counts(table):
    assert list(table.loc["scores", ["jobs", "cpu_hours", "peak_memory_gib"]]) == [1, 0, 0]


def test_most_expensive_first_total_last(table):
    assert list(table.index) == ["models: teacher", "predictions", "scores", "total"]


def test_every_variant_and_baseline_has_a_line_of_its_own(tmp_path):
    for name in ("no-ssim", "no-consistency", "teacher-noise"):
        write(tmp_path, f"models/{name}/rep-0", 3600, 1024, 3600)
    write(tmp_path, "baselines/mc-dropout/clean", 360, 1024, 360)
    stages = cost_table(tmp_path / "benchmarks", tmp_path / "logs", 1).set_index("stage")
    assert {"models: no-ssim", "models: no-consistency", "models: teacher", "baselines: mc-dropout"} <= set(
        stages.index
    )
    assert stages.loc["baselines: mc-dropout", "gpu_hours"] == 0.1


def test_a_run_without_benchmarks_has_an_empty_table(tmp_path):
    table = cost_table(tmp_path / "benchmarks", tmp_path / "logs", 1)
    assert isinstance(table, pd.DataFrame) and table.empty


def test_a_training_in_pieces_costs_all_of_them_at_the_last_ones_speed(tmp_path):
    text = "Resuming at step 750 of 1000.\nstep  999/1000  loss 0.2  left 0.0 min\n"
    student = cost_of_student(tmp_path, text, gpus_per_job=2)
    assert list(student[["hours", "cpu_hours", "gpu_hours"]]) == [4.0, 2.0, 8.0]
