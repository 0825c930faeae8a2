"""What a discriminant of all heads names on test scans, having seen validation scans alone."""

import pandas as pd
import pytest
from test_analysis_correlation import subjects_of
from test_analysis_decoupling import HEADS, run_of, value

from decoupled_qc.analysis.decoupling import decoupling
from decoupled_qc.analysis.naming_accuracy import naming_accuracy

OWN = {name: {name: 8.0} for name in HEADS}
WRONG = {"blur": {"noise": 8.0}, "noise": {"spike": 8.0}, "spike": {"blur": 8.0}}
NOTHING = {name: {} for name in HEADS}
DRAWS = {"n_boot": 200, "seed": 1}


def scores_of(rises, of_validation=None, n_subjects=20):
    """Test scans of some subjects, and as many validation scans of others."""
    test = run_of(rises, n_subjects)
    validation = run_of(of_validation or rises, n_subjects, seed=5).assign(condition="validation")
    for column in ("subject", "scan"):
        validation[column] = "v" + validation[column]
    return pd.concat([test, validation], ignore_index=True)


def named(scores, **changes):
    return naming_accuracy(scores, subjects_of(scores), error_rate=0.2, **DRAWS | changes)


@pytest.mark.parametrize("rises", [OWN, WRONG])
def test_what_heads_tell_together_is_named_whichever_of_them_rises(rises):
    scores = scores_of(rises)
    table = named(scores)
    row = value(table, "naming_accuracy")
    assert row["value"] == 1 and (row["n_scans"], row["n_subjects"]) == (60, 20)
    assert all(value(table, "named", name, name)["value"] == 1 for name in HEADS)
    assert (
        value(table, "named", "none", "none")["value"] >= 0.6
    )  # four in five of the validation scans, by the error rate
    alone = decoupling(scores, subjects_of(scores), **DRAWS)
    assert value(alone, "attribution_accuracy")["value"] == (1 if rises is OWN else 0)


def test_shares_of_a_kind_add_up_to_1():
    shares = named(scores_of(OWN)).query("quantity == 'named'").groupby("artefact")["value"].sum()
    assert list(shares.index) == ["blur", "noise", "none", "spike"] and shares.to_numpy() == pytest.approx(1)


def test_heads_that_tell_nothing_name_no_better_than_chance():
    assert value(named(scores_of(NOTHING)), "naming_accuracy")["value"] == pytest.approx(1 / 3, abs=0.15)


def test_nothing_is_learnt_from_test_scans():
    """Validation scans in which heads are changed over make test scans be named wrongly, however clear they are."""
    table = named(scores_of(OWN, of_validation=WRONG))
    assert value(table, "naming_accuracy")["value"] == 0
    assert (
        value(table, "named", "blur", "spike")["value"] == 1
    )  # of a validation scan with a spike it is blur's that rises


def test_without_validation_scans_there_is_no_number_but_the_reason():
    row = value(named(run_of(OWN)), "naming_accuracy")
    assert pd.isna(row["value"]) and row["note"] == "no value: no validation scans of two subjects and two artefacts"
