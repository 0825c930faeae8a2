"""Runs that never happened for the tests of figures, a model and a scan for those of `predict`, heads for those of cohorts."""

import pytest
from apply_command import MM, volume, write
from fake_run import ARTEFACTS, make_fake_run
from figure_run import N_SUBJECTS, Run
from tiny_model import write_tiny_model
from toy_cohort import write_bids


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return Run(make_fake_run(tmp_path_factory.mktemp("run") / "fake", N_SUBJECTS), ARTEFACTS)


@pytest.fixture(scope="session")
def smallest(tmp_path_factory):
    """One test subject and two artefacts, as in a smoke run."""
    folder = tmp_path_factory.mktemp("small") / "fake"
    return Run(make_fake_run(folder, 1, artefacts=("noise", "blur")), ("noise", "blur"))


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("model"), MM)


@pytest.fixture
def scan(tmp_path):
    return write(tmp_path / "sub-01_T1w.nii.gz", volume())


@pytest.fixture
def bids(tmp_path):
    return write_bids(tmp_path)
