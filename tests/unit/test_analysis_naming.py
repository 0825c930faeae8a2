"""What a discriminant of all heads names on test scans, having seen validation scans alone."""

import pandas as pd
import pytest
from score_tables import HEADS, run_of, subjects_of, value

from decoupled_qc.analysis.decoupling import decoupling
from decoupled_qc.analysis.naming_accuracy import naming_accuracy

OWN = {name: {name: 8.0} for name in HEADS}
WRONG = {"blur": {"noise": 8.0}, "noise": {"spike": 8.0}, "spike": {"blur": 8.0}}
NOTHING = {name: {} for name in HEADS}
DRAWS = {"n_boot": 200, "seed": 1}
NO_VALUE = "no value: no validation scans of 2 subjects, clean and with two artefacts"


def validation_of(rises, n_subjects=20):
    """Validation scans of other subjects than the test scans'."""
    found = run_of(rises, n_subjects, seed=5).assign(condition="validation")
    for column in ("subject", "scan"):
        found[column] = "v" + found[column]
    return found


def scores_of(rises, of_validation=None, n_subjects=20):
    return pd.concat([run_of(rises, n_subjects), validation_of(of_validation or rises)], ignore_index=True)


def named(scores):
    return naming_accuracy(scores, subjects_of(scores), error_rate=0.2, **DRAWS)


@pytest.mark.parametrize("rises", [OWN, WRONG])
def test_what_heads_tell_together_is_named_whichever_of_them_rises(rises):
    scores = scores_of(rises)
    table = named(scores)
    for quantity in ("naming_accuracy", "naming_accuracy_if_forced"):
        row = value(table, quantity)
        assert row["value"] == 1 and (row["n_scans"], row["n_subjects"]) == (60, 20)
    assert all(value(table, "named", name, name)["value"] == 1 for name in HEADS)
    assert (
        value(table, "named", "none", "none")["value"] >= 0.6
    )  # four in five of the validation scans, by the error rate
    alone = decoupling(scores, subjects_of(scores), **DRAWS)
    assert value(alone, "attribution_accuracy")["value"] == (1 if rises is OWN else 0)


def test_none_is_an_answer_of_a_verdict_but_not_of_the_forced_choice():
    weak = {name: {name: 1.5} for name in HEADS}
    table = named(scores_of(weak))
    assert value(table, "naming_accuracy")["value"] < value(table, "naming_accuracy_if_forced")["value"] - 0.1
    given = table[(table["quantity"] == "named") & (table["artefact"] != "none")]
    assert given.loc[given["head"] == given["artefact"], "value"].mean() == pytest.approx(
        value(table, "naming_accuracy")["value"]
    )


def test_shares_of_a_kind_add_up_to_1_even_if_another_is_named_that_is_not_tested():
    scores = scores_of(OWN, of_validation=WRONG)  # spikes are then named where blur is tested
    scores = scores[scores["artefact"] != "spike"].pipe(lambda test: pd.concat([test, validation_of(WRONG)]))
    scores = scores.drop_duplicates(["scan", "metric", "aggregation"])
    shares = named(scores).query("quantity == 'named'").groupby("artefact")["value"].sum()
    assert list(shares.index) == ["blur", "noise", "none"] and shares.to_numpy() == pytest.approx(1)


def test_heads_that_tell_nothing_name_no_better_than_chance():
    assert value(named(scores_of(NOTHING)), "naming_accuracy_if_forced")["value"] == pytest.approx(1 / 3, abs=0.15)


def test_nothing_is_learnt_from_test_scans():
    """Validation scans in which heads are changed over make test scans be named wrongly, however clear they are."""
    table = named(scores_of(OWN, of_validation=WRONG))
    assert value(table, "naming_accuracy")["value"] == 0
    assert (
        value(table, "named", "blur", "spike")["value"] == 1
    )  # of a validation scan with a spike it is blur's that rises


def test_a_validation_scan_of_an_artefact_without_a_head_does_not_count():
    scores = scores_of(OWN)
    stranger = scores[scores["scan"].str.startswith("v") & (scores["artefact"] == "blur")].assign(artefact="ghosting")
    stranger["scan"] += "_ghosting"
    pd.testing.assert_frame_equal(named(pd.concat([scores, stranger])), named(scores))


@pytest.mark.parametrize(
    "validation",
    [
        pd.DataFrame(),
        validation_of(OWN, n_subjects=1),
        validation_of({"blur": OWN["blur"]}),
        validation_of(OWN).query("artefact != 'none'"),
    ],
)
def test_without_validation_scans_that_a_fit_needs_there_is_no_number_but_the_reason(validation):
    table = named(pd.concat([run_of(OWN), validation]))
    assert len(table) == 1
    row = value(table, "naming_accuracy")
    assert pd.isna(row["value"]) and row["note"] == NO_VALUE
