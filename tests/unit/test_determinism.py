"""The same bits whatever the number of threads, where that is promised: docs/faults.md."""

import pandas as pd
import pytest
import torch
from phantom import head
from score_tables import long_table, subjects_of
from threadpoolctl import threadpool_info, threadpool_limits

from decoupled_qc import artefacts
from decoupled_qc.analysis.correlation import correlate
from decoupled_qc.seeds import rng_for
from decoupled_qc.settings import artefact_settings


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", artefacts.available())
def test_a_record_has_the_same_bits_with_one_thread_and_with_two(name, threads):
    image = head((40, 54, 47))
    drawn = artefacts.sample_record(
        name, 0.7, image.shape, 1.5, rng_for(1, name), artefact_settings()[name], local_probability=0.5
    )
    records = artefacts.complete(image, [drawn])  # sums over the clean scan depend on the threads in their last bits
    found = []
    for count in (1, 2, 1):
        threads(count)
        found.append(artefacts.corrupt(image, records))
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])
    assert not torch.equal(found[0], image)


def test_intervals_and_p_have_the_same_bits_with_one_thread_and_with_two(threads):
    """Those of bootstrap draws and permutations: the threads of torch, and of the linear algebra under NumPy and SciPy."""
    scores, found = long_table(n_subjects=30), []
    for count in (1, 2, 1):
        threads(count)
        with threadpool_limits(count):
            assert all(pool["num_threads"] == count for pool in threadpool_info())
            found.append(correlate(scores, subjects_of(scores), n_boot=300, n_permutations=299, seed=1))
    pd.testing.assert_frame_equal(found[0], found[1], check_exact=True)
    pd.testing.assert_frame_equal(found[0], found[2], check_exact=True)
    assert found[0][["rho", "ci_low", "bca_low", "p"]].notna().any().all()
