"""A copy of the project in which a test may edit code and config, and ask Snakemake what it would do."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[1]
PARTS = ("Snakefile", "config", "envs", "profiles", "slurm", "src", "workflow")


# Marker → why its tests are skipped unless asked for by ``-m``.
ON_REQUEST = {
    "baselines": "minutes of a whole chain: make test-baselines",
    "browser": "needs a browser: make test-browser",
    "cohort": "minutes of a whole chain: make test-cohort",
    "faults": "minutes of a whole chain: make test-faults",
    "slow": "minutes: make test-slow",
    "slurm": "minutes on a cluster: make test-slurm",
}


def pytest_collection_modifyitems(config, items):
    """Skip what has a command of its own."""
    for item in items:
        for marker, reason in ON_REQUEST.items():
            if item.get_closest_marker(marker) and marker not in config.option.markexpr:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    """Fail a command of its own that skipped all it was asked for: what did not run was not passed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus == 0 and session.config.option.markexpr in ON_REQUEST and not reporter.stats.get("passed"):
        reporter.write_line("\nNothing ran: see the reasons for skipping.", red=True)
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED


class Project:
    """A copy of the code in a folder of its own, with its own results."""

    def __init__(self, folder: Path):
        self.folder = folder

    def snakemake(self, *arguments: str, check: bool = True) -> str:
        """Run Snakemake on the copy's code; return all it printed."""
        call = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(self.folder / "src")}
        done = subprocess.run(
            call, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert not check or done.returncode == 0, done.stdout[-5000:]
        return done.stdout

    def planned(self, *overlays: str) -> dict[str, set[str]]:
        """Return what a run would make: rule → outputs, relative to the folder of the run."""
        printed = self.snakemake("--summary", "--configfile", *(overlays or ("config/smoke.yaml",)))
        rows = [line.split("\t") for line in printed.splitlines() if line.count("\t") >= 5]
        assert rows[0][0] == "output_file"
        planned = {}
        for output, _, rule, *_, plan in rows[1:]:
            if plan == "update pending":
                planned.setdefault(rule, set()).add(output.removeprefix("results/").partition("/")[2])
        return planned

    def jobs(self, *arguments: str) -> list[dict[str, str]]:
        """Return what a dry run tells of each job, as text: "rule", "input", "resources" and so on.

        The copy's rules lose their messages, which would be printed in place of that.
        """
        for rules in (self.folder / "workflow/rules").glob("*.smk"):
            rules.write_text(re.sub(r"^    message:\n.*\n", "", rules.read_text(), flags=re.MULTILINE))
        printed = self.snakemake("--dry-run", *arguments)
        found = re.findall(r"^(?:local)?rule (\w+):\n((?: .*\n)+)", printed, re.MULTILINE)
        return [{"rule": rule, **dict(re.findall(r"^ +(\w+): (.*)$", told, re.MULTILINE))} for rule, told in found]

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace text in one file of the copy."""
        file = self.folder / path
        text = file.read_text()
        assert old in text, f"{path} does not hold {old!r}"
        file.write_text(text.replace(old, new, 1))

    def copy_to(self, folder: Path) -> "Project":
        """Return a copy with results and Snakemake's memory of them, times kept."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder)


@pytest.fixture(scope="session")
def bare_project(tmp_path_factory) -> Project:
    """The code without results."""
    folder = tmp_path_factory.mktemp("bare") / "project"
    folder.mkdir()
    for part in PARTS:
        source = ROOT / part
        if source.is_symlink():
            (folder / part).symlink_to(source.readlink())
        elif source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy2(source, folder / part)
    if (ROOT / "resources").is_dir():  # heads that were fetched before need not be fetched again
        (folder / "resources").symlink_to(ROOT / "resources")
    return Project(folder)


@pytest.fixture(scope="session")
def smoke_project(bare_project, tmp_path_factory, worker_id) -> Project:
    """The project after ``make smoke``, once for all of pytest's processes; copy it before editing."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "smoke"
    with FileLock(f"{folder}.lock"):
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            bare_project.copy_to(folder / "project").snakemake("--configfile", "config/smoke.yaml")
            (folder / "done").touch()
    return Project(folder / "project")
