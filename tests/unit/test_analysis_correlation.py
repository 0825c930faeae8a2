import numpy as np
import pandas as pd
import pytest
from scipy import stats
from score_tables import DRAWS, cell, long_table, subjects_of
from shared_data import SHARED

from decoupled_qc.analysis.correlation import COLUMNS, correlate
from decoupled_qc.analysis.difference import difference
from decoupled_qc.analysis.scores import read_scores, read_subjects, read_wide
from decoupled_qc.errors import InputError


def test_rho_counts_and_sets():
    scores = long_table()
    table = correlate(scores, subjects_of(scores), **DRAWS)
    assert list(table.columns) == list(COLUMNS)
    wide = scores.pivot(index="scan", columns="metric", values="value")
    for name, members in (
        ("simulated", wide),
        ("simulated_artefact_only", wide[~wide.index.str.endswith("clean")]),
        ("simulated_noise", wide[wide.index.str.endswith("sim-noise")]),
    ):
        row = cell(table, name, "artefact_uncertainty")
        expected = stats.spearmanr(members["artefact_uncertainty"], members["dice"])
        assert row["rho"] == pytest.approx(expected.statistic)
        assert row["p_iid"] == pytest.approx(expected.pvalue)
        assert (row["n_scans"], row["n_subjects"], row["n_anatomies"]) == (len(members), 6, 2)
        assert row["ci_low"] < row["rho"] < row["ci_high"]
    assert cell(table, "simulated", "artefact_uncertainty")["p"] < 0.01 < cell(table, "simulated", "snr")["p"]


def test_within_artefact_is_the_mean_of_the_artefacts():
    scores = long_table()
    table = correlate(scores, subjects_of(scores), **DRAWS)
    each = [cell(table, f"simulated_{name}", "snr")["rho"] for name in ("noise", "blur")]
    pooled = cell(table, "simulated_within_artefact", "snr")
    assert pooled["rho"] == pytest.approx(np.mean(each))
    assert np.isnan(pooled["p"]) and "no p" in pooled["note"]


def test_a_score_that_only_tells_artefacts_apart_earns_nothing_within_them():
    scores = long_table(n_subjects=20)
    offset = scores["artefact"].map({"none": 0.0, "noise": -0.4, "blur": -0.8})
    rng = np.random.default_rng(3)
    is_dice, is_snr = scores["metric"] == "dice", scores["metric"] == "snr"
    scores.loc[is_dice, "value"] = 0.9 + 0.3 * offset + rng.normal(0, 0.02, len(scores))
    scores.loc[is_snr, "value"] = offset + rng.normal(0, 0.02, len(scores))
    table = correlate(scores, subjects_of(scores), **DRAWS)
    assert cell(table, "simulated", "snr")["rho"] > 0.8
    within = cell(table, "simulated_within_artefact", "snr")
    assert abs(within["rho"]) < 0.35 and "the score mainly tells artefacts apart" in within["note"]
    assert abs(cell(table, "simulated_given_artefact", "snr")["rho"]) < 0.35
    ours = cell(
        correlate(long_table(), subjects_of(scores), **DRAWS), "simulated_within_artefact", "artefact_uncertainty"
    )
    assert "apart" not in ours["note"]


def test_partial_rho_is_of_ranks_less_the_mean_rank_of_their_artefact():
    scores = long_table(n_subjects=9, artefacts=("noise", "blur", "wrap"))
    row = cell(correlate(scores, subjects_of(scores), **DRAWS), "simulated_given_artefact", "snr")
    wide = scores.pivot(index=["scan", "artefact"], columns="metric", values="value").reset_index()
    wide = wide[wide["artefact"] != "none"]
    ranks = wide[["snr", "dice"]].rank()
    rest = ranks - ranks.groupby(wide["artefact"]).transform("mean")
    assert row["rho"] == pytest.approx(rest.corr().iloc[0, 1])
    assert row["ci_low"] < row["rho"] < row["ci_high"] and row["n_scans"] == 27


def test_rho_pooled_by_fishers_z_by_hand_and_a_perfect_one_does_not_swallow_the_others():
    scores = long_table(n_subjects=9)
    table = correlate(scores, subjects_of(scores), **DRAWS)
    each = [cell(table, f"simulated_{name}", "snr") for name in ("noise", "blur")]
    weights = [row["n_scans"] - 3 for row in each]
    expected = np.tanh(np.average(np.arctanh([row["rho"] for row in each]), weights=weights))
    row = cell(table, "simulated_pooled_within_artefact", "snr")
    assert row["rho"] == pytest.approx(expected) and row["ci_low"] < row["rho"] < row["ci_high"]
    is_noise = scores["artefact"] == "noise"
    dice = scores[scores["metric"] == "dice"].set_index("scan")["value"]
    perfect = scores.assign(
        value=scores["value"].where(~is_noise | (scores["metric"] != "snr"), scores["scan"].map(dice))
    )
    row = cell(correlate(perfect, subjects_of(perfect), **DRAWS), "simulated_pooled_within_artefact", "snr")
    next_best = 1 - 12 / (9 * 80)  # of nine scans in order, the rho after one swap of neighbours
    assert row["rho"] == pytest.approx(np.tanh((np.arctanh(next_best) + np.arctanh(each[1]["rho"])) / 2))


def test_rho_given_the_subject_is_the_repeated_measures_correlation_of_ranks():
    """Bakdash & Marusich 2017: an analysis of covariance with one slope and an intercept for each subject."""
    scores = long_table(n_subjects=9, artefacts=("noise", "blur", "wrap"))
    row = cell(correlate(scores, subjects_of(scores), **DRAWS), "simulated_given_subject", "snr")
    wide = scores.pivot(index=["subject", "scan"], columns="metric", values="value").reset_index()
    ranks, people = wide[["snr", "dice"]].rank().to_numpy(), pd.get_dummies(wide["subject"]).to_numpy(float)

    def residual(design):
        return ((ranks[:, 1] - design @ np.linalg.lstsq(design, ranks[:, 1], rcond=None)[0]) ** 2).sum()

    both = np.column_stack([people, ranks[:, 0]])
    slope = np.linalg.lstsq(both, ranks[:, 1], rcond=None)[0][-1]
    expected = np.sign(slope) * np.sqrt(1 - residual(both) / residual(people))
    assert row["rho"] == pytest.approx(expected) and row["n_scans"] == 36
    assert row["ci_low"] < row["rho"] < row["ci_high"]


def test_validation_scans_stand_apart_over_all_heads_and_within_each():
    test, scores = long_table(), long_table(n_subjects=8)
    scores = scores.assign(condition="validation", subject="v" + scores["subject"], scan="v" + scores["scan"])
    subjects = pd.concat([subjects_of(test), subjects_of(scores)])
    anatomy = scores["subject"].map(subjects.set_index("subject")["anatomy"])
    scores["value"] += 100 * (scores["metric"].eq("snr") & anatomy.eq("b"))  # so that it tells heads apart
    table = correlate(pd.concat([test, scores]), subjects, **DRAWS)
    wide = scores.pivot(index=["scan", "subject"], columns="metric", values="value").reset_index()
    heads = [own for _, own in wide.groupby(wide["subject"].map(subjects.set_index("subject")["anatomy"]))]
    pooled, within = (cell(table, f"validation{name}", "snr") for name in ("", "_within_anatomy"))
    assert pooled["rho"] == pytest.approx(stats.spearmanr(wide["snr"], wide["dice"]).statistic)
    assert within["rho"] == pytest.approx(
        np.mean([stats.spearmanr(own["snr"], own["dice"]).statistic for own in heads])
    )
    assert len(heads) == pooled["n_anatomies"] == within["n_anatomies"] == 2
    others = table[~table["set"].str.startswith("validation")].reset_index(drop=True)
    pd.testing.assert_frame_equal(others, correlate(test, subjects_of(test), **DRAWS))


def test_sets_of_the_papers_size_are_of_168_140_and_28_scans():
    scores = long_table(n_subjects=28, artefacts=("spike", "noise", "blur", "wrap", "motion"))
    tables_found = (
        correlate(scores, subjects_of(scores), **DRAWS),
        difference(scores, subjects_of(scores), n_boot=50, seed=1),
    )
    for table in tables_found:
        n_scans = table[table["score"] == "artefact_uncertainty"].groupby("set")["n_scans"].first()
        assert n_scans["simulated"] == 168 and n_scans["simulated_artefact_only"] == 140
        assert all(n_scans[f"simulated_{name}"] == 28 for name in ("spike", "noise", "blur", "wrap", "motion"))
        assert (table["n_subjects"] == 28).all()
    assert {"simulated_within_artefact", "simulated_given_artefact"} <= set(tables_found[0]["set"])


def test_same_seed_same_table_and_other_scores_do_not_matter():
    scores = long_table()
    first = correlate(scores, subjects_of(scores), **DRAWS)
    pd.testing.assert_frame_equal(first, correlate(scores, subjects_of(scores), **DRAWS))
    fewer = correlate(scores[scores["metric"] != "snr"], subjects_of(scores), **DRAWS)
    pd.testing.assert_series_equal(
        cell(first, "simulated", "artefact_uncertainty"),
        cell(fewer, "simulated", "artefact_uncertainty"),
        check_names=False,
    )


def test_order_of_rows_does_not_matter():
    scores = long_table()
    first = correlate(scores, subjects_of(scores), **DRAWS)
    shuffled = correlate(scores.sample(frac=1, random_state=1), subjects_of(scores), **DRAWS)
    pd.testing.assert_frame_equal(first, shuffled)


def test_real_set_is_correlated_with_the_rating():
    scores = long_table()
    real = scores[scores["condition"] == "sim-noise"].assign(condition="real", artefact="torchio-noise")
    real["scan"] = real["scan"].str.replace("sim-noise", "real")
    rating = real[real["metric"] == "dice"].assign(metric="rating", aggregation="stand_in")
    rating["value"] = np.searchsorted([0.6, 0.7, 0.8], rating["value"]) + 1.0
    everything = pd.concat([scores, real, rating])
    table = correlate(everything, subjects_of(scores), **DRAWS)
    row = cell(table, "real", "artefact_uncertainty", "rating")
    assert row["rho"] < -0.5 and row["n_scans"] == 6
    assert row["tau_low"] <= row["tau_b"] <= row["tau_high"] and row["tau_b"] < -0.4
    dice = cell(table, "real", "artefact_uncertainty", "dice")
    assert dice["n_scans"] == 6 and np.isfinite(dice["tau_low"])  # six values are few levels


def test_difference_of_paired_correlations():
    scores = long_table(n_subjects=12)
    table = difference(scores, subjects_of(scores), n_boot=300, seed=1)
    row = table[(table["set"] == "simulated") & (table["baseline"] == "snr")].iloc[0]
    both = correlate(scores, subjects_of(scores), **DRAWS)
    rho = {name: cell(both, "simulated", name)["rho"] for name in ("artefact_uncertainty", "snr")}
    directed = -rho["artefact_uncertainty"] - rho["snr"]  # more SNR should mean more Dice
    assert row["difference"] == pytest.approx(directed)
    assert row["difference_abs_rho"] == pytest.approx(abs(rho["artefact_uncertainty"]) - abs(rho["snr"]))
    assert 0 < row["ci_low"] < row["difference"] < row["ci_high"] < 2
    assert row["bca_high"] - row["bca_low"] < row["ci_high"] - row["ci_low"]  # BCa is the narrower


def test_a_score_that_points_the_wrong_way_earns_nothing_in_a_difference():
    scores = long_table(n_subjects=12)
    wrong = scores[scores["metric"] == "artefact_uncertainty"].assign(metric="cjv", value=lambda table: -table["value"])
    row = (
        difference(pd.concat([scores, wrong]), subjects_of(scores), n_boot=100, seed=1)
        .query("baseline == 'cjv'")
        .iloc[0]
    )
    assert row["difference"] > 1.5 and row["ci_low"] > 1 and row["p"] < 0.05 and row["difference_abs_rho"] == 0


def test_differences_do_not_depend_on_the_other_baselines_and_are_corrected_in_each_set():
    scores = long_table(n_subjects=12)
    more = scores[scores["metric"] == "snr"].assign(metric="cnr", value=lambda table: table["value"] ** 2)
    partly = scores[scores["metric"] == "snr"].assign(metric="efc", value=lambda table: -table["value"])
    partly.loc[partly.index[:3], "value"] = np.nan
    few = difference(scores, subjects_of(scores), n_boot=100, seed=1).set_index(["set", "baseline"])
    many = difference(pd.concat([scores, more, partly]), subjects_of(scores), n_boot=100, seed=1)
    many = many.set_index(["set", "baseline"])
    columns = ["difference", "ci_low", "ci_high", "p", "n_scans"]
    pd.testing.assert_frame_equal(many.loc[few.index, columns], few[columns])
    assert many.loc[("simulated", "efc"), "n_scans"] == 33 and "3 of 36" in many.loc[("simulated", "efc"), "note"]
    for _, of_set in many.groupby("set"):
        assert of_set["p_holm"].min() == pytest.approx(min(1, 3 * of_set["p"].min()))


def test_difference_from_a_copy_of_itself_is_zero():
    scores = long_table()
    copy = scores[scores["metric"] == "artefact_uncertainty"].assign(metric="copy")
    table = difference(pd.concat([scores, copy]), subjects_of(scores), n_boot=100, seed=1)
    row = table[table["baseline"] == "copy"].iloc[0]
    assert row["difference"] == 0 and row[["ci_low", "ci_high", "bca_low", "bca_high"]].isna().all()
    assert "no interval: the same in every draw of subjects" in row["note"]


@pytest.mark.parametrize("metric, word", [("snr", "snr:reference"), ("dice", "dice:gm")])
def test_constant_column_is_stated_not_silent(metric, word):
    scores = long_table()
    scores.loc[scores["metric"] == metric, "value"] = 0.5
    row = cell(correlate(scores, subjects_of(scores), **DRAWS), "simulated", "snr")
    assert np.isnan(row["rho"]) and np.isnan(row["p"]) and np.isnan(row["ci_low"])
    assert f"no rho: {word} is the same in all scans" in row["note"]


def test_missing_values_are_left_out_and_counted():
    scores = long_table()
    gone = scores.index[scores["metric"] == "snr"][:2]
    scores.loc[gone, "value"] = np.nan
    row = cell(correlate(scores, subjects_of(scores), **DRAWS), "simulated", "snr")
    assert row["n_scans"] == 16 and "2 of 18 scans left out" in row["note"]
    assert np.isfinite(row["rho"])


def test_one_subject_has_no_interval():
    scores = long_table(n_subjects=1, artefacts=("noise", "blur", "wrap", "spike"))
    row = cell(correlate(scores, subjects_of(scores), **DRAWS), "simulated", "artefact_uncertainty")
    assert np.isfinite(row["rho"]) and np.isnan(row["ci_low"])
    assert "no interval: one subject" in row["note"]


def test_two_scans_have_no_rho():
    scores = long_table(n_subjects=2)
    row = cell(correlate(scores, subjects_of(scores), **DRAWS), "simulated_noise", "snr")
    assert np.isnan(row["rho"]) and "fewer than 3 scans" in row["note"]


def test_no_number_is_missing_without_a_note():
    scores = long_table(n_subjects=2)
    table = correlate(scores, subjects_of(scores), **DRAWS)
    missing = table[["rho", "ci_low", "ci_high", "p"]].isna().any(axis=1)
    assert (table.loc[missing, "note"] != "").all()


def written(tmp_path, scores):
    path = tmp_path / "scores.csv"
    scores.to_csv(path, index=False)
    return path


def test_scores_come_back_as_written(tmp_path):
    scores = long_table()
    found = read_scores(written(tmp_path, scores))
    np.testing.assert_array_equal(found["value"], scores["value"])
    assert found["severity"].isna().sum() == (scores["artefact"] == "none").sum()
    assert set(found["artefact"]) == {"none", "noise", "blur"}


def spoil_column(scores):
    return scores.drop(columns="aggregation")


def spoil_number(scores):
    return scores.assign(value=scores["value"].astype(object).where(scores.index != 3, "high"))


def spoil_infinity(scores):
    return scores.assign(value=scores["value"].where(scores.index != 3, np.inf))


def spoil_scan(scores):
    return scores.assign(scan=scores["scan"].where(scores.index != 3, ""))


def spoil_duplicate(scores):
    return pd.concat([scores.iloc[:4], scores.iloc[[0]], scores.iloc[4:]])


def spoil_subject(scores):
    return scores.assign(subject=scores["subject"].where(scores.index != 1, "sub-99"))


@pytest.mark.parametrize(
    "spoil, words",
    [
        (spoil_column, ["no column 'aggregation'"]),
        (spoil_number, ["row 5", "'value'", "not a finite number"]),
        (spoil_infinity, ["row 5", "'value'", "not a finite number"]),
        (spoil_scan, ["row 5", "'scan' is empty"]),
        (spoil_duplicate, ["row 6", "as an earlier row"]),
        (spoil_subject, ["row 3", "another subject"]),
        (lambda scores: scores.iloc[:0], ["no row"]),
    ],
)
def test_bad_scores_name_column_and_row(tmp_path, spoil, words):
    path = written(tmp_path, spoil(long_table()))
    with pytest.raises(InputError) as caught:
        read_scores(path)
    for word in [str(path), *words]:
        assert word in str(caught.value)


def test_unknown_subject_is_named():
    scores = long_table()
    with pytest.raises(InputError, match="sub-05.*manifest"):
        correlate(scores, subjects_of(scores).iloc[:-1], **DRAWS)


def test_several_networks_are_kept_apart_and_refused_by_figures(tmp_path):
    scores = pd.concat([long_table(), long_table(seed=1).assign(replicate=1)])
    table = correlate(scores, subjects_of(scores), **DRAWS)
    found = table[(table["set"] == "simulated") & (table["score"] == "snr")]
    assert found["replicate"].tolist() == [0, 1] and found["n_scans"].tolist() == [18, 18]
    manifest = tmp_path / "manifest.tsv"
    subjects_of(scores).assign(role="test").to_csv(manifest, sep="\t", index=False)
    with pytest.raises(InputError, match="several networks"):
        read_wide(written(tmp_path, scores), manifest)


def test_manifest_without_anatomy_is_refused(tmp_path):
    path = tmp_path / "manifest.tsv"
    path.write_text("subject\trole\nsub-01\ttest\n")
    with pytest.raises(InputError, match="anatomy"):
        read_subjects(path)


@pytest.mark.skipif(not (SHARED / "mrart_tables").is_dir(), reason=f"no MR-ART tables under {SHARED}")
@pytest.mark.parametrize(
    "measure, expected, low, high",
    [
        ("cjv", 0.78, 0.74, 0.81),
        ("snr_total", -0.81, -0.84, -0.78),
        ("cnr", -0.77, -0.80, -0.73),
        ("efc", 0.48, 0.41, 0.54),
    ],
)
def test_published_ratings_against_image_quality_measures(measure, expected, low, high):
    ratings = pd.read_csv(SHARED / "mrart_tables/scores.tsv", sep="\t")
    measures = pd.read_csv(SHARED / "mrart_tables/group_T1w.tsv", sep="\t")
    both = ratings.merge(measures, on="bids_name")
    base = {"subject": both["bids_name"].str[:10], "scan": both["bids_name"], "model": "mriqc", "replicate": 0}
    base |= {"condition": "real", "artefact": "motion", "severity": np.nan}
    scores = pd.concat(
        [
            pd.DataFrame({**base, "metric": "rating", "aggregation": "expert", "value": both["score"].astype(float)}),
            pd.DataFrame({**base, "metric": measure, "aggregation": "mriqc", "value": both[measure]}),
        ]
    )
    subjects = pd.DataFrame({"subject": scores["subject"].unique()}).assign(anatomy=lambda table: table["subject"])
    row = cell(correlate(scores, subjects, **DRAWS), "real", measure, "rating")
    assert round(row["rho"], 2) == expected
    assert (row["n_scans"], row["n_subjects"]) == (436, 148)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(
        (low, high), abs=0.02
    )  # 300 draws, 5,000 in benchmarks/mrart.csv
    assert row["p"] == pytest.approx(1 / 300)
