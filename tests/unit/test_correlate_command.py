"""``decoupled-qc correlate``: anybody's table of scores."""

import numpy as np
import pandas as pd
import pytest
from shared_data import SHARED

from decoupled_qc import cli

FEW = ["--n-boot", "200", "--n-permutations", "99"]


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    dice = rng.uniform(0.4, 0.9, 40)
    subjects = np.repeat([f"s{i}" for i in range(10)], 4)
    scans = [f"scan{i}" for i in range(40)]
    found = pd.DataFrame(
        {"scan": scans, "subject": subjects, "dice": dice, "good": -dice, "noise": rng.normal(size=40)}
    )
    return found.assign(site="A"), tmp_path / "scores.csv"


def run(frame, path, *arguments):
    frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return cli.main(["correlate", str(path), *FEW, *arguments])


def test_every_column_of_numbers_is_a_score(table, tmp_path, capsys):
    out = tmp_path / "found.csv"
    assert run(*table, "--out", str(out)) == 0
    found = pd.read_csv(out).set_index("score")
    assert list(found.index) == ["good", "noise"]
    assert found.loc["good", "rho"] == found.loc["good", "tau_b"] == pytest.approx(-1)
    assert (found["n_scans"] == 40).all() and (found["n_subjects"] == 10).all() and (found["target"] == "dice").all()
    assert run(*table, "--score", "noise") == 0
    assert "noise" in capsys.readouterr().out


def test_one_score_is_compared_with_the_others(table, tmp_path, capsys):
    frame, out = table[0].assign(same=-2 * table[0]["dice"]), tmp_path / "found.csv"
    assert run(frame, table[1], "--compare", "good", "--out", str(out)) == 0
    found = pd.read_csv(tmp_path / "found_difference.csv").set_index("baseline")
    rho = pd.read_csv(out).set_index("score")["rho"]
    assert list(found.index) == ["noise", "same"] and (found["score"] == "good").all()
    assert found.loc["noise", "difference"] == pytest.approx(1 - abs(rho["noise"]))
    assert 0 < found.loc["noise", "ci_low"] < found.loc["noise", "ci_high"] < 1
    assert found.loc["same", "difference"] == 0 and found.loc["same", "p_holm"] == 1
    assert found.loc["noise", "p_holm"] == pytest.approx(2 * found.loc["noise", "p"])
    assert run(frame, table[1], "--compare", "good") == 0
    assert "|rho| of good less that of each other score" in capsys.readouterr().out
    assert run(frame, table[1], "--compare", "cjv") != 0
    assert "--compare names 'cjv', which is no score: name one of good, noise, same" in capsys.readouterr().err


def test_within_a_group_a_score_that_only_tells_groups_apart_finds_nothing(table, tmp_path, capsys):
    bad = table[0].index % 2 == 0
    frame = table[0].assign(artefact=np.where(bad, "spike", "blur"), dice=table[0]["dice"] - bad)
    frame["alarm"] = bad + 0.1 * table[0]["noise"]
    out = tmp_path / "found.csv"
    assert run(frame, table[1], "--group", "artefact", "--score", "alarm", "--out", str(out)) == 0
    found = pd.read_csv(out).set_index("set")
    assert list(found.index) == [
        "all",
        "artefact=blur",
        "artefact=spike",
        "within artefact",
        "pooled within artefact",
        "given artefact",
    ]
    each = found.loc[["artefact=blur", "artefact=spike"], "rho"]
    assert found.loc["all", "rho"] < -0.7 and (each.abs() < 0.5).all()
    assert found.loc["within artefact", "rho"] == pytest.approx(each.mean())
    assert "the score mainly tells artefacts apart" in found.loc["within artefact", "note"]
    assert found["n_scans"].tolist() == [40, 20, 20, 40, 40, 40]
    assert run(frame, table[1], "--group", "artefact", "--score", "alarm") == 0
    assert "within artefact" in capsys.readouterr().out


def test_failures_are_found_by_scores_turned_as_told(table, tmp_path, capsys):
    frame, out = table[0].assign(snr=table[0]["dice"], sharp=table[0]["dice"] ** 2), tmp_path / "found.csv"
    command = ("--failed-below", "0.6", "--higher-is-better", "sharp")
    assert run(frame, table[1], *command, "--out", str(out)) == 0
    found = pd.read_csv(tmp_path / "found_failure.csv").set_index(["score", "measure"])["value"]
    failed = (frame["dice"] < 0.6).sum()
    for score in ("good", "snr", "sharp"):  # by its rise, by its known name, and as told
        assert found[score, "auroc"] == found[score, "auprc"] == 1 and found[score, "fpr_at_95_tpr"] == 0
        assert found[score, "aurc"] == pytest.approx(np.mean(np.cumsum(np.sort(1 - frame["dice"])) / np.arange(1, 41)))
    rows = pd.read_csv(tmp_path / "found_failure.csv")
    assert (rows.loc[rows["measure"] == "auroc", "n_failed"] == failed).all() and (rows["n_subjects"] == 10).all()
    wrong = frame["noise"].to_numpy()[:, None] > frame["noise"].to_numpy()
    pairs = wrong[(frame["dice"] < 0.6).to_numpy()][:, (frame["dice"] >= 0.6).to_numpy()]
    assert found["noise", "auroc"] == pytest.approx(pairs.mean())
    assert run(frame, table[1], *command) == 0
    assert "Finding scans with dice below 0.6:" in capsys.readouterr().out


def test_several_cuts_each_have_their_failures(table, tmp_path, capsys):
    frame, out = table[0], tmp_path / "found.csv"
    cuts = ("--failed-below", "0.6", "--failed-below", "0.7")
    assert run(frame, table[1], *cuts, "--out", str(out)) == 0
    found = pd.read_csv(tmp_path / "found_failure.csv").query("measure == 'auroc' and score == 'good'")
    assert found["cut"].tolist() == [0.6, 0.7]
    assert found["n_failed"].tolist() == [(frame["dice"] < 0.6).sum(), (frame["dice"] < 0.7).sum()]
    assert run(frame, table[1], *cuts) == 0
    told = capsys.readouterr().out
    assert "Finding scans with dice below 0.6 or 0.7:" in told and " cut " in told
    assert run(frame, table[1], *cuts[:2]) == 0
    assert " cut " not in capsys.readouterr().out


def test_a_rating_that_rises_to_the_worse(table, tmp_path):
    frame = table[0].assign(rating=np.digitize(-table[0]["dice"], [-0.7, -0.5]) + 1.0)
    out = tmp_path / "found.csv"
    assert run(frame, table[1], "--target", "rating", "--score", "good", "--failed-from", "2", "--out", str(out)) == 0
    found = pd.read_csv(tmp_path / "found_failure.csv").set_index("measure")
    failed = frame["rating"] >= 2
    assert found.loc["auroc", "value"] == 1 and found.loc["auroc", "n_failed"] == failed.sum()
    risk = np.cumsum(np.sort(failed)) / np.arange(1, 41)  # of a rating: the share of failed scans among those trusted
    assert found.loc["aurc", "value"] == pytest.approx(risk.mean()) == found.loc["aurc", "oracle"]


def test_tsv_missing_cells_and_constant_scores_are_stated(table, tmp_path):
    frame, out = table[0].assign(flat=1.0), tmp_path / "found.csv"
    frame.loc[3, "noise"] = np.nan
    assert run(frame, tmp_path / "scores.tsv", "--out", str(out)) == 0
    found = pd.read_csv(out).set_index("score")
    assert found.loc["noise", "n_scans"] == 39 and "1 of 40 scans left out" in found.loc["noise", "note"]
    assert np.isnan(found.loc["flat", "rho"]) and "the same in all scans" in found.loc["flat", "note"]


@pytest.mark.parametrize(
    ("spoil", "arguments", "words"),
    [
        (lambda t: t.drop(columns="dice"), [], "no column 'dice'"),
        (lambda t: t, ["--score", "cjv"], "no column 'cjv': it has scan, subject"),
        (lambda t: t.assign(noise=["x", *t["noise"][1:]]), [], "row 2: column 'noise'"),
        (
            lambda t: t.assign(good=t["good"].astype(object).where(t.index != 4, "bad")),
            ["--score", "good"],
            "row 6: column 'good'",
        ),
        (
            lambda t: t.assign(dice=t["dice"].where(t.index != 0, np.inf)),
            [],
            "row 2: column 'dice' is not a finite number",
        ),
        (lambda t: t.assign(subject=t["subject"].where(t.index != 7, "")), [], "row 9: column 'subject' is empty"),
        (
            lambda t: pd.concat([t, t.head(1)]),
            ["--scan", "scan"],
            "row 42: column 'scan' names a scan that an earlier row",
        ),
        (lambda t: pd.concat([t, t.tail(1)]), [], "row 42: column 'scan' names a scan that an earlier row"),
        (
            lambda t: pd.concat([t, t.tail(1)]).drop(columns="scan"),
            [],
            "row 42: is the same as an earlier row in every column: keep one",
        ),
        (lambda t: t.head(0), [], "a header but no row"),
        (lambda t: t[["subject", "dice", "site"]], [], "no column of numbers beside 'dice'"),
        (lambda t: t, ["--n-boot", "0"], "--n-boot"),
        (lambda t: t, ["--group", "artefact"], "no column 'artefact'"),
        (lambda t: t.assign(site=["", *t["site"][1:]]), ["--group", "site"], "row 2: column 'site' is empty"),
        (lambda t: t, ["--failed-below", "0.6", "--higher-is-better", "snr"], "--higher-is-better names 'snr'"),
    ],
)
def test_what_cannot_be_used_is_named_and_nothing_is_written(table, tmp_path, capsys, spoil, arguments, words):
    out = tmp_path / "found.csv"
    assert run(spoil(table[0]), table[1], "--out", str(out), *arguments) == 2
    assert words in capsys.readouterr().err and not out.exists()


def test_scans_may_be_counted_within_each_subject(table, tmp_path):
    frame, out = table[0], tmp_path / "found.csv"
    frame = frame.assign(scan=frame.groupby("subject").cumcount())
    assert run(frame, table[1], "--out", str(out)) == 0
    assert "scan" not in pd.read_csv(out)["score"].tolist()  # numbers, but no score


def test_a_missing_table_is_named(tmp_path, capsys):
    assert cli.main(["correlate", str(tmp_path / "no.csv")]) == 2
    assert "no.csv cannot be read" in capsys.readouterr().err


@pytest.mark.skipif(not (SHARED / "mrart_tables").is_dir(), reason=f"no MR-ART tables under {SHARED}")
def test_published_ratings_against_mriqc(tmp_path):
    ratings = pd.read_csv(SHARED / "mrart_tables/scores.tsv", sep="\t")
    both = ratings.merge(pd.read_csv(SHARED / "mrart_tables/group_T1w.tsv", sep="\t"), on="bids_name")
    expected = {"cjv": 0.78, "snr_total": -0.81, "cnr": -0.77, "efc": 0.48}
    both = both[["bids_name", "score", *expected]].assign(subject=both["bids_name"].str[:10])
    out = tmp_path / "found.csv"
    assert run(both, tmp_path / "mrart.csv", "--target", "score", "--scan", "bids_name", "--out", str(out)) == 0
    found = pd.read_csv(out).set_index("score")
    assert found["rho"].round(2).to_dict() == expected
    assert ((found["ci_low"] < found["rho"]) & (found["rho"] < found["ci_high"])).all() and (
        found["n_subjects"] == 148
    ).all()
