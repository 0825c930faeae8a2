"""Every way of failing silently has a sentence; a training that went well has none."""

import pandas as pd
import pytest

from decoupled_qc.training.collapse import collapse_warnings


def looks(**changes):
    """First and last look of a healthy teacher; a change gives a column's four values: clean, noise; clean, noise."""
    table = pd.DataFrame({"step": [0, 0, 600, 600], "input": ["clean", "noise"] * 2, "n_scans": 3})
    healthy = {"dice": [0.3, 0.2, 0.9, 0.8], "twice_cross_entropy": [0.9, 1.0, 0.2, 0.3]}
    healthy |= {"variance_task": [0.5, 0.5, 0.2, 0.3], "variance_noise": [0.5, 0.5, 0.02, 0.2]}
    return table.assign(**healthy | changes)


def metrics(share=0.6):
    return pd.DataFrame({"step": range(0, 600, 50), "share_below_epsilon": share})


def test_a_healthy_training_has_no_warning():
    assert collapse_warnings(looks(), metrics()) == []


def test_only_the_head_that_a_network_adds_must_move():
    still = looks(variance_task=0.5)
    assert collapse_warnings(still, metrics()) == []  # a teacher's, which began as the task network's
    (warning,) = collapse_warnings(still.drop(columns="variance_noise"), metrics())
    assert warning == "The task variance has not moved since the first step: it is not trained."


def test_whether_a_head_moved_is_not_asked_where_the_first_looks_are_missing():
    still = looks(variance_noise=[0.02, 0.1, 0.02, 0.1])
    assert len(collapse_warnings(still, metrics())) == 1
    assert collapse_warnings(still.replace({"step": {0: 300}}), metrics()) == []


@pytest.mark.parametrize(
    "changes, share, sentence",
    [
        ({"variance_noise": [0.5, 0.5, 0.00248, 0.00249]}, 0.6, "The noise variance sits at its lower limit, 0.0025"),
        ({"variance_noise": [0.5, 0.5, 54.5, 54.6]}, 0.6, "The noise variance sits at its upper limit"),
        ({"variance_noise": [0.5, 0.5, 0.501, 0.499]}, 0.6, "The noise variance has not moved since the first step"),
        (
            {"variance_noise": [0.5, 0.5, 0.2, 0.2]},
            0.6,
            "noise variance does not answer to its artefact: 0.2 with it, 0.2",
        ),
        ({}, 0.9995, "99.9 % of all voxels have less variance than epsilon above the lowest possible|100.0 %"),
        (
            {"twice_cross_entropy": [0.2, 0.4, 0.3, 0.5], "variance_task": [0.2, 0.3, 0.9, 1.0]},
            0.6,
            "rose from 0.2 to 0.3 under a variance of 0.92: the loss is met by variance",
        ),
        (
            {
                "twice_cross_entropy": [0.2, 0.4, 0.6, 0.8],
                "variance_task": [0.2, 0.3, 0.1, 0.1],
                "variance_noise": [0.5, 0.5, 5, 6],
            },
            0.6,
            "rose from 0.2 to 0.6 under a variance of 5.1: the loss is met by variance",
        ),
    ],
)
def test_what_is_wrong_is_said_once(changes, share, sentence):
    (warning,) = collapse_warnings(looks(**changes), metrics(share))
    assert any(part in warning for part in sentence.split("|"))
