"""The chain under faults: killed at every stage, started twice, a worker shot, disk full, results read-only, clock wrong.

After each the same command goes on, and ends with the same scores as a run that nothing happened to.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import psutil
import pytest

pytestmark = pytest.mark.faults
RUN = "results/smoke"
SMOKE = ("--configfile", "config/smoke.yaml", "tiny.yaml")
SCORES = f"{RUN}/scores.csv"
CLEAN, NOISY = f"{RUN}/conditions/clean", f"{RUN}/conditions/sim-noise"
# The last output of each stage that a chain of folders and files goes through, in the order of the Snakefile.
STAGES = [
    "cohort/audit.tsv",
    "cohort/splits.tsv",
    "cohort/scans/*",
    "cohort/manifest.tsv",
    "conditions/clean",
    "models/task/rep-0",
    "models/teacher-*/rep-0",
    "models/student/rep-0",
    "predictions/student/rep-0/*",
    "scores/student/rep-0/*.csv",
    "scores.csv",
    "analysis/*.csv",
    "tables/*.csv",
    "figures/*.png",
]
LIMIT_S = 1800
SPACING_MM = 3.0


class Running:
    """Snakemake in a process group of its own, which can be killed with all its jobs."""

    def __init__(self, project, *arguments: str, cores: int = 2):
        self.log = project.folder / "snakemake.log"
        environment = {**os.environ, "PYTHONPATH": str(project.folder / "src")}
        call = [sys.executable, "-m", "snakemake", "--cores", str(cores), *SMOKE, *arguments]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                call, cwd=project.folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    @property
    def text(self) -> str:
        return self.log.read_text()

    def until(self, happened) -> bool:
        """Wait for something; return whether it happened before the run ended."""
        deadline = time.monotonic() + LIMIT_S
        while not happened():
            if self.process.poll() is not None:
                return bool(happened())
            assert time.monotonic() < deadline, self.text[-3000:]
            time.sleep(0.02)
        return True

    def kill(self) -> None:
        """Shoot Snakemake and all its jobs, so that nobody can tidy up."""
        family = [self.process.pid, *(child.pid for child in psutil.Process(self.process.pid).children(recursive=True))]
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def worker(self) -> int | None:
        """Return the process of a job that runs a script."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                if ".snakemake/scripts/" in " ".join(child.cmdline()):
                    return child.pid
        return None


@pytest.fixture(scope="session")
def tiny_project(bare_project, tmp_path_factory):
    """The smoke configuration on six phantoms that come with their labels, so that no head is labelled; without results."""
    project = bare_project.copy_to(tmp_path_factory.mktemp("tiny") / "project")
    place = np.stack(np.meshgrid(*[np.arange(48.0) - 23.5] * 3, indexing="ij")) * SPACING_MM
    rows = ["subject\timage\tdseg\trole"]
    for number, role in enumerate(["train", "train", "validation", "test", "test", "test"]):
        radius = np.linalg.norm(place, axis=0) * (1 + 0.01 * number)
        label = np.select([radius < 45, radius < 60, radius < 66], [3, 2, 1]).astype(np.uint8)
        noise = np.random.default_rng(number).normal(0, 3, label.shape)
        image = np.array([10.0, 30.0, 60.0, 90.0])[label] + noise
        for name, values in (("T1w", image.astype(np.float32)), ("dseg", label)):
            file = nib.Nifti1Image(values, np.diag([SPACING_MM] * 3 + [1]))
            nib.save(file, project.folder / f"sub-{number}_{name}.nii.gz")
        rows.append(f"sub-{number}\tsub-{number}_T1w.nii.gz\tsub-{number}_dseg.nii.gz\t{role}")
    (project.folder / "scans.tsv").write_text("\n".join(rows) + "\n")
    (project.folder / "tiny.yaml").write_text(
        "cohort:\n  source: table\n  scans: {path: scans.tsv, batches: 1, min_subjects: 6}\n"
    )
    return project


@pytest.fixture(scope="session")
def simulated_project(tiny_project, tmp_path_factory):
    """The chain as far as two test conditions."""
    project = tiny_project.copy_to(tmp_path_factory.mktemp("simulated") / "project")
    project.snakemake(*SMOKE, "--", CLEAN, NOISY)
    return project


@pytest.fixture(scope="session")
def finished_project(tiny_project, tmp_path_factory):
    """The whole chain, to which nothing happened."""
    project = tiny_project.copy_to(tmp_path_factory.mktemp("finished") / "project")
    project.snakemake(*SMOKE)
    return project


@pytest.fixture
def project(simulated_project, tmp_path):
    """Two conditions made, in a copy of its own."""
    return simulated_project.copy_to(tmp_path / "project")


def remove(project, *paths: str) -> None:
    for path in paths:
        target = project.folder / path
        shutil.rmtree(target) if target.is_dir() else target.unlink()


def made(project, pattern: str) -> dict[str, int]:
    """Return the outputs of a stage and when each appeared."""
    found = (project.folder / RUN).glob(pattern)
    return {str(path): path.stat().st_mtime_ns for path in found if not path.name.startswith(".")}


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def partials(project) -> list[Path]:
    return list((project.folder / RUN).rglob(".partial-*"))


def test_a_second_run_in_the_same_folder_is_refused_and_harms_nothing(project):
    remove(project, CLEAN, NOISY)
    first = Running(project, "--", CLEAN, NOISY, cores=1)
    assert first.until(lambda: (project.folder / ".snakemake/locks").is_dir() and first.worker())
    second = project.snakemake(*SMOKE, check=False)
    assert "Directory cannot be locked" in second and "no other Snakemake process" in second
    assert first.process.wait(timeout=LIMIT_S) == 0, first.text[-3000:]
    assert (project.folder / CLEAN).is_dir() and (project.folder / NOISY).is_dir() and not partials(project)


def test_a_worker_that_dies_loses_its_own_job_only_and_the_same_command_goes_on(project, simulated_project):
    remove(project, CLEAN, NOISY)
    run = Running(project, "--", CLEAN, NOISY, cores=1)
    assert run.until(run.worker)
    os.kill(run.worker(), signal.SIGKILL)
    assert run.process.wait(timeout=LIMIT_S) != 0
    there = [path for path in (CLEAN, NOISY) if (project.folder / path).exists()]
    assert len(there) == 1  # --keep-going made the other
    assert re.search(r"Error in rule (keep_clean|simulate)", run.text) and "log:" in run.text
    assert run.text.count("then give the same command again") == 1
    again = Running(project, "--", CLEAN, NOISY)
    assert again.process.wait(timeout=LIMIT_S) == 0, again.text[-3000:]
    for path in (CLEAN, NOISY):
        assert files(project.folder / path) == files(simulated_project.folder / path)


@contextlib.contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """Lay a file system of its own over a folder; skip where that is not allowed."""
    if os.geteuid() or subprocess.run(["mount", *options, folder], capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_is_named_leaves_nothing_half_and_the_same_command_goes_on(project, simulated_project):
    conditions = project.folder / RUN / "conditions"
    shutil.rmtree(conditions)
    conditions.mkdir()
    with mounted(conditions, "-t", "tmpfs", "-o", "size=200k", "tmpfs"):
        full = Running(project, "--", CLEAN, NOISY)
        assert full.process.wait(timeout=LIMIT_S) != 0
        assert "the disk or your quota is full: free some space and run the same again" in full.text, full.text[-4000:]
        assert [path.name for path in conditions.iterdir() if not (path / "scans.tsv").exists()] == []
        subprocess.run(["mount", "-o", "remount,size=1g", conditions], check=True)
        again = Running(project, "--", CLEAN, NOISY)
        assert again.process.wait(timeout=LIMIT_S) == 0, again.text[-3000:]
        for path in (CLEAN, NOISY):
            assert files(project.folder / path) == files(simulated_project.folder / path)


def test_read_only_results_are_named_and_nothing_changes(project):
    results = project.folder / RUN
    remove(project, CLEAN)
    before = files(results)
    with mounted(results, "--bind", str(results)):
        subprocess.run(["mount", "-o", "remount,ro,bind", results], check=True)
        run = Running(project, "--", CLEAN)
        assert run.process.wait(timeout=LIMIT_S) != 0
        # Snakemake itself meets it first, in making way for the output; a job that does says more (test_quick_faults.py).
        assert f"Read-only file system: '{CLEAN}'" in run.text
    assert files(results) == before


@pytest.mark.parametrize("years", [1, -1])
def test_a_clock_that_was_wrong_changes_no_bit_and_hides_no_edit(finished_project, tmp_path, years):
    """All results as if made while the clock was a year ahead, or a year behind, and so older than what they follow from."""
    project = finished_project.copy_to(tmp_path / "project")
    for path in sorted((project.folder / RUN).rglob("*"), reverse=True):
        stat = path.stat()
        shift = years * 365 * 86400 * 10**9
        os.utime(path, ns=(stat.st_atime_ns + shift, stat.st_mtime_ns + shift))
    if years < 0:
        project.snakemake(*SMOKE)  # what is older than its input may be made again
        assert (project.folder / SCORES).read_bytes() == (finished_project.folder / SCORES).read_bytes()
    assert project.planned(*SMOKE[1:]) == {}
    project.edit("config/smoke.yaml", "n_boot: 200", "n_boot: 201")
    planned = project.planned(*SMOKE[1:])
    assert "correlate" in planned and "gather_scores" not in planned


def test_killed_at_every_stage_and_started_again_it_ends_with_the_same_scores(finished_project, tiny_project, tmp_path):
    project = tiny_project.copy_to(tmp_path / "killed")
    kept, kills = {}, 0
    for stage in STAGES:
        run = Running(project)
        if run.until(lambda stage=stage: made(project, stage)) and run.process.poll() is None:
            run.kill()
            kills += 1
        assert made(project, stage), run.text[-3000:]
        again = [path for path, appeared in kept.items() if Path(path).stat().st_mtime_ns != appeared]
        assert len(again) <= 2, again  # of two jobs at once, those that Snakemake could not note down any more
        kept = {path: time for done in STAGES[: STAGES.index(stage)] for path, time in made(project, done).items()}
        if (project.folder / ".snakemake" / "locks").exists() and any((project.folder / ".snakemake/locks").iterdir()):
            refused = project.snakemake(*SMOKE, check=False)
            assert "--unlock" in refused  # it says what to do
            project.snakemake("--unlock", *SMOKE)
    assert kills >= len(STAGES) - 3  # the last stages may end with the run
    last = Running(project)
    assert last.process.wait(timeout=LIMIT_S) == 0, last.text[-3000:]
    assert (project.folder / SCORES).read_bytes() == (finished_project.folder / SCORES).read_bytes()
    for folder in ("analysis", "tables"):
        assert files(project.folder / RUN / folder) == files(finished_project.folder / RUN / folder)
    assert "Nothing to be done" in project.snakemake(*SMOKE)
