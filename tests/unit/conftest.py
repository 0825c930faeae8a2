"""Runs that never happened, made once for all tests of figures."""

import pytest
from fake_run import ARTEFACTS, make_fake_run
from figure_run import N_SUBJECTS, Run


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return Run(make_fake_run(tmp_path_factory.mktemp("run") / "fake", N_SUBJECTS), ARTEFACTS)


@pytest.fixture(scope="session")
def smallest(tmp_path_factory):
    """One test subject and two artefacts, as in a smoke run."""
    folder = tmp_path_factory.mktemp("small") / "fake"
    return Run(make_fake_run(folder, 1, artefacts=("noise", "blur")), ("noise", "blur"))
