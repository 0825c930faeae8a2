"""conda, container, pip and pyproject.toml say the same versions."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
LOCK = "envs/requirements.lock"


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def locked():
    lines = [line for line in (ROOT / LOCK).read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines), "every line pins one exact version"
    return {normal(name): version for name, version in (line.split("==") for line in lines)}


def test_the_lock_holds_every_dependency_of_the_package_in_a_version_it_allows():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for group in (project["dependencies"], *project["optional-dependencies"].values()):
        for requirement in map(Requirement, group):
            assert requirement.specifier.contains(locked()[normal(requirement.name)]), requirement


def test_what_is_installed_here_is_what_the_lock_says():
    installed = {normal(package.name): package.version.partition("+")[0] for package in metadata.distributions()}
    wrong = {name: installed.get(name) for name, version in locked().items() if installed.get(name) != version}
    assert not wrong


def test_conda_installs_the_lock_and_no_version_of_its_own():
    conda = yaml.safe_load((ROOT / "envs/environment.yaml").read_text())
    *plain, pip = conda["dependencies"]
    assert plain == [f"python={python()}", "pip"]
    assert pip == {"pip": [f"--requirement {Path(LOCK).name}", "--editable .."]}


def test_the_container_installs_the_lock_on_the_same_python():
    text = (ROOT / "envs/Apptainer.def").read_text()
    assert re.search(r"^From: python:(\d+\.\d+)-", text, re.MULTILINE)[1] == python()
    installs = re.findall(r"pip install .*", text)
    assert [install.split("--")[-1].split(" /opt/decoupled-qc/")[-1] for install in installs] == [
        LOCK,
        "editable /opt/decoupled-qc",
    ]


def python():
    return re.search(r"Python (3\.\d+) to", (ROOT / LOCK).read_text())[1]
