"""The counts of the cases are written at the end."""

import nibabel as nib
import numpy as np
import pytest
import tally


@pytest.fixture(scope="session")
def scan_file(tmp_path_factory):
    """A small scan with nothing wrong."""
    path = tmp_path_factory.mktemp("good") / "scan.nii.gz"
    nib.save(nib.Nifti1Image(np.random.default_rng(0).uniform(0, 100, (8, 9, 10)).astype(np.float32), np.eye(4)), path)
    return path


def pytest_sessionfinish(session):
    tally.write()
