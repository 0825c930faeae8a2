import pandas as pd
import pytest
from test_analysis_correlation import long_table, subjects_of

from decoupled_qc import paper_table, typeset
from decoupled_qc.analysis.correlation import correlate
from decoupled_qc.analysis.leaderboard import COLUMNS, leaderboard
from decoupled_qc.analysis.replicates import replicates
from decoupled_qc.analysis.risk_coverage import risk_coverage


def table_of(set_name, **rho):
    rows = [(set_name, score, *found, 0.01, 60, 12, 1) for score, found in rho.items()]
    columns = ["set", "score", "rho", "ci_low", "ci_high", "p", "n_scans", "n_subjects", "n_anatomies"]
    return pd.DataFrame(rows, columns=columns)


NAN = float("nan")
FIRST = table_of("simulated", artefact_uncertainty=(-0.8, -0.9, -0.7), snr=(0.7, 0.5, 0.9), cnr=(-0.5, -0.6, -0.3))
SECOND = table_of("real", artefact_uncertainty=(-0.3, -0.5, -0.1), snr=(NAN, NAN, NAN), cnr=(0.4, NAN, NAN))


def test_difference_and_verdict():
    table = paper_table.paper_table(FIRST, SECOND, stand_in=False)
    verdicts = ["agrees", "stronger", "opposite sign", "weaker", "no value", "no interval to judge by"]
    assert table["verdict"].tolist() == verdicts
    assert table["difference"].iloc[0] == pytest.approx(0.05)
    text = typeset.as_text(paper_table.TITLE, paper_table.as_cells(table), paper_table.notes(False))
    assert "−0.850" in text and "nan" not in text and "Stand-in" not in text


def test_a_stand_in_is_not_compared():
    table = paper_table.paper_table(FIRST, SECOND, stand_in=True)
    assert table.loc[table["set"] == "real", "verdict"].eq("not comparable (stand-in)").all()
    assert any("Stand-in" in note for note in paper_table.notes(True))


def test_leaderboard_joins_and_ranks():
    scores = long_table(n_subjects=8)
    flat = scores[scores["metric"] == "snr"].assign(metric="entropy", aggregation="mean", value=0.5)
    scores = pd.concat([scores, flat])
    subjects = subjects_of(scores)
    correlation = correlate(scores, subjects, n_boot=50, n_permutations=19, seed=1)
    risk = risk_coverage(scores, subjects, dice_cuts=[0.6, 0.7], n_boot=50, seed=1)
    board = leaderboard(correlation, risk, replicates(scores, subjects), dice_cut=0.7)
    assert list(board.columns) == COLUMNS and len(board) == 3
    assert board["rho"].abs().dropna().is_monotonic_decreasing
    assert board["rank"].tolist()[:2] == [1, 2] and board["rank"].isna().tolist() == [False, False, True]
    flat = board.iloc[2]  # a constant score ranks nothing: chance, and its note says why
    assert flat["score"] == "entropy" and "the same in all scans" in flat["note"]
    assert flat["auroc"] == 0.5 and flat["e_aurc"] > board.iloc[0]["e_aurc"]
    assert "no AUROC" not in flat["note"]
    down = scores.assign(value=scores["value"].where(scores["metric"] != "artefact_uncertainty", -scores["value"]))
    opposite = correlate(down, subjects, n_boot=50, n_permutations=19, seed=1)
    none_fails = risk_coverage(down, subjects, dice_cuts=[0.1], n_boot=50, seed=1)
    other = leaderboard(opposite, none_fails, replicates(down, subjects), dice_cut=0.1).set_index("score")
    assert "rho has the sign opposite" in other.loc["artefact_uncertainty", "note"]
    assert "no AUROC: no value: no scan has Dice below 0.1" in other.loc["snr", "note"]
    wanted = risk[(risk["score"] == "snr") & (risk["measure"] == "auroc") & (risk["dice_cut"] == 0.7)]["value"].iloc[0]
    assert board.set_index("score").loc["snr", "auroc"] == wanted
