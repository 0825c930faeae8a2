import numpy as np
import pandas as pd
import pytest
from score_tables import long_table, subjects_of
from sklearn import metrics

from decoupled_qc.analysis.ranking import WeightedRanking
from decoupled_qc.analysis.risk_coverage import COLUMNS, risk_coverage
from decoupled_qc.analysis.working_point import working_points


def once(n):
    return np.ones((1, n))


@pytest.fixture
def scans():
    rng = np.random.default_rng(0)
    loss = rng.uniform(0, 1, 40)
    return rng.normal(size=40).round(1) + loss, loss  # with ties


def plain_aurc(distrust, loss, rng):
    """Mean selective risk with ties broken at random."""
    order = np.lexsort((rng.random(len(loss)), distrust))
    return np.mean(np.cumsum(loss[order]) / np.arange(1, len(loss) + 1))


def plain_augrc(distrust, loss, rng):
    order = np.lexsort((rng.random(len(loss)), distrust))
    return np.mean(np.cumsum(loss[order])) / len(loss)


@pytest.mark.parametrize(("name", "plain"), [("aurc", plain_aurc), ("augrc", plain_augrc)])
def test_ties_count_as_the_mean_over_their_orders(name, plain):
    rng = np.random.default_rng(1)
    distrust, loss = rng.integers(0, 4, 15).astype(float), rng.uniform(0, 1, 15)
    expected = np.mean([plain(distrust, loss, rng) for _ in range(20000)])
    assert getattr(WeightedRanking(distrust), name)(once(15), loss)[0] == pytest.approx(expected, abs=2e-3)


def test_risk_at_a_coverage_by_hand_with_ties_as_their_mean_and_in_a_draw():
    ranking, loss = WeightedRanking(np.array([0.1, 0.2, 0.2, 0.2, 0.9])), np.array([0.1, 0.2, 0.3, 0.7, 1.0])
    draws = np.array([[1, 1, 1, 1, 1], [2, 0, 0, 1, 2]], float)
    assert ranking.risk_at(draws, loss, 0.4) == pytest.approx([(0.1 + 0.4) / 2, 0.1])
    assert ranking.risk_at(draws, loss, 0.8) == pytest.approx([1.3 / 4, (0.2 + 0.7 + 1) / 4])
    assert ranking.risk_at(draws, loss, 1.0) == pytest.approx([2.3 / 5, 2.9 / 5])


def test_normalised_aurc_is_0_of_the_oracle_and_1_of_a_constant_score():
    scores = long_table(n_subjects=8)
    dice = scores[scores["metric"] == "dice"].set_index("scan")["value"]
    exact = scores.assign(value=scores["value"].where(scores["metric"] != "snr", scores["scan"].map(dice)))
    flat = scores[scores["metric"] == "snr"].assign(metric="entropy", aggregation="mean", value=0.5)
    scores = pd.concat([exact, flat])
    table = risk_coverage(scores, subjects_of(scores), dice_cuts=[0.7], n_boot=50, seed=1)
    table = table[table["measure"] == "n_aurc"].set_index("score")
    assert table.loc["snr", "value"] == pytest.approx(0, abs=1e-9) and table.loc["entropy", "value"] == pytest.approx(1)
    turned = scores.assign(value=scores["value"].where(scores["metric"] != "snr", -scores["value"]))
    worse = risk_coverage(turned, subjects_of(turned), dice_cuts=[0.7], n_boot=50, seed=1).set_index(
        ["score", "measure"]
    )
    assert worse.loc[("snr", "n_aurc"), "value"] > 1  # the wrong way round is worse than chance
    ours = table.loc["artefact_uncertainty"]
    assert 0 < ours["ci_low"] < ours["value"] < ours["ci_high"] < 1 and (ours["oracle"], ours["random"]) == (0, 1)


def test_two_scans_by_hand():
    ranking, loss = WeightedRanking(np.array([0.1, 0.9])), np.array([0.2, 0.6])
    assert ranking.aurc(once(2), loss)[0] == pytest.approx((0.2 + 0.4) / 2)
    assert ranking.augrc(once(2), loss)[0] == pytest.approx((0.1 + 0.4) / 2)


def test_constant_score_is_random_and_the_oracle_is_best(scans):
    distrust, loss = scans
    constant, oracle, worst = (WeightedRanking(values) for values in (np.zeros(40), loss, -loss))
    assert constant.aurc(once(40), loss)[0] == pytest.approx(loss.mean())
    assert constant.augrc(once(40), loss)[0] == pytest.approx(loss.mean() * 41 / 80)
    for name in ("aurc", "augrc"):
        best, own, bad = (getattr(r, name)(once(40), loss)[0] for r in (oracle, WeightedRanking(distrust), worst))
        assert best < own < bad


def test_augrc_of_failures_follows_from_auroc(scans):
    """For 0/1 losses AUGRC = (1 - AUROC) pi (1 - pi) + pi^2 / 2 (Traub 2024, eq. 8), up to the 1/n of a discrete sum."""
    distrust, loss = scans
    failed = loss > 0.6
    ranking, n, share = WeightedRanking(distrust), len(loss), failed.mean()
    auroc = ranking.auroc(once(n), failed)[0]
    expected = (1 - auroc) * share * (1 - share) + share**2 / 2 + share / (2 * n)
    assert ranking.augrc(once(n), failed.astype(float))[0] == pytest.approx(expected)


def test_detection_equals_scikit_learns(scans):
    distrust, loss = scans
    failed, ranking = loss > 0.6, WeightedRanking(distrust)
    assert ranking.auroc(once(40), failed)[0] == pytest.approx(metrics.roc_auc_score(failed, distrust))
    assert ranking.auprc(once(40), failed)[0] == pytest.approx(metrics.average_precision_score(failed, distrust))
    fpr, tpr, _ = metrics.roc_curve(failed, distrust, drop_intermediate=False)
    assert ranking.fpr_at_95_tpr(once(40), failed)[0] == pytest.approx(fpr[np.argmax(tpr >= 0.95)])


def test_a_draw_equals_the_repeated_scans(scans):
    distrust, loss = scans
    failed, rng = loss > 0.6, np.random.default_rng(2)
    weights = rng.integers(0, 4, (30, 40)).astype(float)
    ranking = WeightedRanking(distrust)
    for name, outcome in (
        ("aurc", loss),
        ("augrc", loss),
        ("auroc", failed),
        ("auprc", failed),
        ("fpr_at_95_tpr", failed),
    ):
        drawn = getattr(ranking, name)(weights, outcome)
        for row, value in zip(weights.astype(int), drawn, strict=True):
            again = WeightedRanking(np.repeat(distrust, row))
            repeated = np.repeat(outcome, row)
            assert value == pytest.approx(getattr(again, name)(once(len(repeated)), repeated)[0])


def test_without_both_kinds_there_is_no_detection():
    ranking = WeightedRanking(np.arange(5.0))
    for name in ("auroc", "auprc", "fpr_at_95_tpr"):
        for failed in (np.zeros(5, bool), np.ones(5, bool)):
            assert np.isnan(getattr(ranking, name)(once(5), failed)[0])


def test_curve_ends_at_the_mean_loss_and_its_mean_is_aurc(scans):
    distrust, loss = scans
    ranking = WeightedRanking(distrust)
    coverage, risk = ranking.curve(loss)
    assert (coverage[0], coverage[-1], risk[-1]) == pytest.approx((1 / 40, 1, loss.mean()))
    assert risk.mean() == pytest.approx(ranking.aurc(once(40), loss)[0])


def test_table_turns_scores_by_meaning_and_says_why_a_number_is_missing():
    scores = long_table(n_subjects=8)
    table = risk_coverage(scores, subjects_of(scores), dice_cuts=[0.1, 0.7], n_boot=50, seed=1)
    assert (table["value"].notna() | table["note"].ne("")).all()
    none_failed = table[(table["measure"] == "auroc") & (table["dice_cut"] == 0.1)]
    assert none_failed["value"].isna().all() and none_failed["note"].str.contains("no scan has Dice below 0.1").all()
    at_cut = table[(table["measure"] == "auroc") & (table["dice_cut"] == 0.7)].set_index("score")["value"]
    assert at_cut["artefact_uncertainty"] > 0.95
    flipped = scores.assign(value=scores["value"].where(scores["metric"] != "snr", -scores["value"]))
    again = risk_coverage(flipped, subjects_of(scores), dice_cuts=[0.7], n_boot=50, seed=1)
    again = again[again["measure"] == "auroc"].set_index("score")["value"]
    assert again["snr"] == pytest.approx(1 - at_cut["snr"])
    ours = table[table["score"] == "artefact_uncertainty"].set_index("measure")
    assert ours.loc["e_aurc", "value"] == pytest.approx(ours.loc["aurc", "value"] - ours.loc["aurc", "oracle"])


def test_a_score_that_never_errs_here_has_no_interval_rather_than_a_sure_one():
    scores = long_table(n_subjects=8)
    dice = scores[(scores["metric"] == "dice") & (scores["aggregation"] == "gm")]
    perfect = dice.assign(metric="artefact_uncertainty", aggregation="perfect", value=1 - dice["value"])
    table = risk_coverage(
        pd.concat([scores, perfect]), subjects_of(scores), dice_cuts=[dice["value"].median()], n_boot=50, seed=1
    )
    row = table[(table["aggregation"] == "perfect") & (table["measure"] == "auroc")].iloc[0]
    assert row["value"] == 1 and row[["ci_low", "ci_high"]].isna().all()
    assert row["note"] == "no interval: the same in every draw of subjects"


def test_random_is_what_shuffled_scores_reach_in_the_mean():
    """Each number in the column ``random`` is the mean over scores that have nothing to do with Dice."""
    scores = long_table(n_subjects=8)
    loss = 1 - scores.loc[scores["metric"] == "dice", "value"].to_numpy()
    table = risk_coverage(scores, subjects_of(scores), dice_cuts=[0.7], n_boot=20, seed=1)
    stated = table[table["score"] == "snr"].set_index("measure")["random"]
    rng, failed, n = np.random.default_rng(0), loss > 0.3, len(loss)
    found = {name: [] for name in ("aurc", "augrc", "auroc")}
    for _ in range(3000):
        ranking = WeightedRanking(rng.permutation(n).astype(float))
        for name, drawn in found.items():
            drawn.append(getattr(ranking, name)(once(n), failed if name == "auroc" else loss)[0])
    for name, drawn in found.items():
        assert stated[name] == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / np.sqrt(len(drawn)))
    oracle = WeightedRanking(loss)
    assert stated["aurc"] == pytest.approx(loss.mean()) and stated["auprc"] == pytest.approx(failed.mean())
    assert stated["e_aurc"] == pytest.approx(loss.mean() - oracle.aurc(once(n), loss)[0])
    assert stated["augrc"] == pytest.approx(np.mean(np.arange(1, n + 1) / n) * loss.mean())
    assert stated["fpr_at_95_tpr"] == 0.95


@pytest.fixture
def validated():
    """Test scans, and validation scans whose failed ones (Dice below 0.7) have a score of 10, 20 … 200."""
    scores = long_table(n_subjects=8)
    more = long_table(n_subjects=20, artefacts=("noise",), seed=5)
    more = more[more["condition"] == "sim-noise"].assign(condition="validation")
    more["subject"], more["scan"] = "v" + more["subject"], "v" + more["scan"]
    more.loc[more["metric"] == "dice", "value"] = 0.5
    more.loc[more["metric"] == "artefact_uncertainty", "value"] = 10.0 * np.arange(1, 21)
    ours = scores["metric"] == "artefact_uncertainty"
    dice = scores[scores["metric"] == "dice"].set_index("scan")["value"].reindex(scores["scan"]).to_numpy()
    scores.loc[ours, "value"] = np.where(dice < 0.7, 20.0, 19.0)[ours]
    return pd.concat([scores, more], ignore_index=True)


def test_the_working_threshold_comes_from_validation_subjects_alone(validated):
    table = working_points(validated, subjects_of(validated), dice_cuts=[0.7], n_boot=50, seed=1)
    assert list(table.columns) == list(COLUMNS)
    ours = table[table["score"] == "artefact_uncertainty"].set_index("measure")
    assert (ours["threshold"] == 20).all()  # 19 of the 20 failed validation scans reach it
    assert (ours["value"] == 1).all() and (ours["n_validation_subjects"] == 20).all()
    assert ours["n_scans"].sum() == 24 and ours.loc["sensitivity", "n_scans"] == ours["n_failed"].iloc[0]
    test = validated["condition"].ne("validation") & validated["metric"].eq("artefact_uncertainty")
    moved = validated.assign(value=validated["value"].where(~test, validated["value"] + 1))
    again = working_points(moved, subjects_of(moved), dice_cuts=[0.7], n_boot=50, seed=1)
    again = again[again["score"] == "artefact_uncertainty"].set_index("measure")
    assert (again["threshold"] == 20).all() and again["value"].to_list() == [1, 0]  # all scans are flagged now


def test_the_working_threshold_of_a_measure_that_falls_and_of_none(validated):
    falls = validated[validated["metric"] == "artefact_uncertainty"]
    falls = falls.assign(metric="cnr", value=-falls["value"])
    both = pd.concat([validated, falls], ignore_index=True)
    table = working_points(both, subjects_of(both), dice_cuts=[0.3, 0.7], n_boot=50, seed=1)
    found = table[table["dice_cut"] == 0.7].set_index(["score", "measure"])
    assert (found.loc["cnr", "threshold"] == -20).all() and (found.loc["cnr", "value"] == 1).all()
    none = table[table["dice_cut"] == 0.3]
    assert none["value"].isna().all() and none["note"].str.contains("no validation scan has Dice below 0.3").all()


def test_the_working_point_counts_the_scans_that_were_left_out(validated):
    ours = validated["metric"] == "artefact_uncertainty"
    lost = validated["scan"].isin(["sub-00_clean", "vsub-00_sim-noise"]) & ours
    scores = validated.assign(value=validated["value"].where(~lost))
    table = working_points(scores, subjects_of(scores), dice_cuts=[0.7], n_boot=50, seed=1).set_index("score")
    said = "1 of 24 test scans left out: a value is missing; 1 of 20 validation scans left out: a value is missing"
    assert table.loc["artefact_uncertainty", "note"].str.startswith(said).all()
    assert not table.loc["snr", "note"].str.contains("left out").any()
