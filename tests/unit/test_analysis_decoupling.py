import numpy as np
import pandas as pd
import pytest
from score_tables import HEADS, run_of, subjects_of, value

from decoupled_qc.analysis.between_heads import between_heads
from decoupled_qc.analysis.decoupling import decoupling, decoupling_index
from decoupled_qc.analysis.localisation import localisation
from decoupled_qc.analysis.scores import COLUMNS
from decoupled_qc.analysis.severity import severity_trend


def table_of(scores):
    return decoupling(scores, subjects_of(scores), n_boot=200, seed=1)


OWN = {name: {name: 3.0} for name in HEADS}
ALL = {name: dict.fromkeys(HEADS, 2.0) for name in HEADS}
WRONG = {"blur": {"noise": 2.0}, "noise": {"spike": 2.0}, "spike": {"blur": 2.0}}


def test_perfect_heads_have_index_and_accuracy_1():
    table = table_of(run_of(OWN))
    # All ten subjects are alike, which proves nothing of others: of a share there is still the exact interval.
    for quantity, low, note in (
        ("decoupling_index", np.nan, "no interval: the same in every draw of subjects"),
        ("attribution_accuracy", 0.025**0.1, "as wide as the exact one"),
    ):
        row = value(table, quantity)
        assert row["value"] == pytest.approx(1) and row["ci_low"] == pytest.approx(low, nan_ok=True)
        assert note in row["note"]
        assert (row["n_scans"], row["n_subjects"], row["n_anatomies"]) == (30, 10, 2)


@pytest.mark.parametrize(
    ("leakage", "index"),
    [
        (np.eye(4) * 7, 1.0),
        (np.ones((4, 4)), 0.0),
        (np.zeros((4, 4)), 0.0),  # nothing rises: nothing is told apart
        (np.roll(np.eye(4), 1, axis=1), -1 / 3),
        (np.eye(4) * 7 - 5 * (1 - np.eye(4)), 1.0),  # a fall is no claim
        (np.array([[3.0, 1.0], [0.0, 2.0]]), ((3 / 4 + 1) / 2 - 0.5) / 0.5),
    ],
)
def test_decoupling_index_by_hand(leakage, index):
    assert decoupling_index(leakage) == pytest.approx(index)


def test_heads_that_all_rise_alike_have_index_0():
    # The unit differs by head, so exact equality needs equal spreads: all heads share the subject's base.
    scores = run_of(ALL)
    shared = scores["scan"].map(scores[scores["metric"] == "variance_task"].set_index("scan")["value"])
    rise = np.where(scores["artefact"].ne("none") & scores["metric"].ne("variance_task"), np.exp(2.0), 1.0)
    table = table_of(scores.assign(value=shared * rise))
    assert value(table, "decoupling_index")["value"] == pytest.approx(0, abs=1e-9)


def test_wrong_heads_are_below_chance():
    table = table_of(run_of(WRONG))
    assert value(table, "decoupling_index")["value"] == pytest.approx(-0.5)
    assert value(table, "attribution_accuracy")["value"] == 0
    assert value(table, "attribution", "blur", "noise")["value"] == 1


def test_leakage_is_in_standard_deviations_of_clean_scans_and_paired():
    scores = run_of({**OWN, "noise": {"noise": 3.0, "blur": 1.0}}, noise=-2.0)
    clean = scores[scores["condition"] == "clean"]
    sd = {head: np.log(clean.loc[clean["metric"] == f"variance_{head}", "value"]).std() for head in (*HEADS, "task")}
    table = table_of(scores)
    # Every subject rises by the same amount, so pairing leaves no spread however different subjects are.
    assert value(table, "leakage", "noise", "blur")["value"] == pytest.approx(1.0 / sd["blur"])
    assert value(table, "leakage", "noise", "noise")["value"] == pytest.approx(3.0 / sd["noise"])
    assert value(table, "task_drift", "noise", "task")["value"] == pytest.approx(-2.0 / sd["task"])
    assert value(table, "task_drift", "blur", "task")["value"] == pytest.approx(0, abs=1e-9)


def test_interval_widens_with_the_scatter_between_subjects():
    scores = run_of(OWN, n_subjects=12)
    rng = np.random.default_rng(3)
    own = (scores["artefact"] == "blur") & (scores["metric"] == "variance_blur")
    scores.loc[own, "value"] *= np.exp(rng.normal(0, 2, own.sum()))
    row = value(table_of(scores), "leakage", "blur", "blur")
    assert row["ci_low"] < row["value"] < row["ci_high"]


def test_intervals_of_the_leakage_hold_the_truth_and_miss_it_on_both_sides():
    """Log variances are standard normal over clean scans and rise by 5 +- 1, so the truth is 5."""
    ends = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        clean, rise = rng.normal(size=(2, 12))
        logs = {"none": clean, "noise": clean + 5 + rise, "blur": clean}
        rows = [
            (
                f"sub-{index:02d}",
                f"{index}-{name}",
                "student",
                0,
                "clean" if name == "none" else f"sim-{name}",
                name,
                0.5,
            )
            + (f"variance_{head}", "mean", np.exp(log))
            for name, of_name in logs.items()
            for index, log in enumerate(of_name)
            for head in ("noise", "blur")
        ]
        row = value(table_of(pd.DataFrame(rows, columns=list(COLUMNS))), "leakage", "noise", "noise")
        ends.append((row["ci_low"], row["ci_high"]))
    low, high = np.array(ends).T
    assert ((low <= 5) & (high >= 5)).mean() > 0.88
    assert (low > 5).mean() < 0.07 and (high < 5).mean() < 0.1  # 0.15 and 0 with the drawn standard deviation as it is


def test_degenerate_runs_say_why():
    one = table_of(run_of(OWN, n_subjects=1))
    assert one["value"].isna().all() and one["note"].str.contains("fewer than two subjects").all()
    scores = run_of(OWN)
    without_clean = scores[(scores["subject"] != "sub-00") | (scores["condition"] != "clean")]
    table = table_of(without_clean)
    assert value(table, "decoupling_index")["n_subjects"] == 9
    assert table["note"].str.contains("3 scans left out: no clean scan").all()
    assert table_of(scores[scores["artefact"].isin(["none", "blur"])]).empty  # one artefact: nothing to tell apart


def test_matched_set_takes_the_sweeps():
    both = pd.concat([run_of(WRONG), run_of(OWN, kind="sweep").query("condition != 'clean'")])
    table = table_of(both)
    index = table[table["quantity"] == "decoupling_index"].set_index("set")["value"]
    assert index["simulated"] < 0 and index["matched"] == pytest.approx(1)


def test_severity_trend_by_hand():
    rows = []
    for subject, values in (("sub-1", [1, 2, 3, 4]), ("sub-2", [1, 3, 2, 4]), ("sub-3", [5, 5, 5, 5])):
        for step, uncertainty in enumerate(values):
            base = (subject, f"{subject}-{step}", "student", 0, "sweep-noise", "noise", (step + 1) / 4)
            rows += [(*base, "artefact_uncertainty", "mean", uncertainty), (*base, "snr", "reference", -uncertainty)]
    scores = pd.DataFrame(rows, columns=list(COLUMNS))
    table = severity_trend(scores, subjects_of(scores), n_boot=100, seed=1).set_index("measure")
    for measure in ("artefact_uncertainty", "snr"):  # SNR falls as it gets worse
        assert table.loc[measure, "tau"] == pytest.approx((1 + 2 / 3 + 0) / 3)
        assert table.loc[measure, "share_increasing"] == pytest.approx(1 / 3)
        assert table.loc[measure, "n_subjects"] == 3 and table.loc[measure, "n_severities"] == 4


def test_pages_l_of_the_worked_example_and_none_of_one_subject():
    """Ten students' marks in tutorials without, with one and with several lecturers: L 133.5, as in SciPy's documentation."""
    marks = [
        [3, 4, 3],
        [2, 2, 4],
        [3, 3, 5],
        [1, 3, 2],
        [2, 3, 2],
        [2, 4, 5],
        [1, 2, 4],
        [3, 4, 4],
        [2, 4, 5],
        [1, 3, 4],
    ]
    rows = [
        (
            f"sub-{number}",
            f"sub-{number}-{step}",
            "student",
            0,
            "sweep-blur",
            "blur",
            step / 2,
            "dice",
            "gm",
            1 - value / 10,
        )
        for number, values in enumerate(marks)
        for step, value in enumerate(values)
    ]
    scores = pd.DataFrame(rows, columns=list(COLUMNS))
    row = severity_trend(scores, subjects_of(scores), n_boot=100, seed=1).iloc[0]
    assert row["page_l"] == 133.5 and row["page_p"] == pytest.approx(0.0018, abs=5e-5)
    one = scores[scores["subject"] == "sub-1"]
    row = severity_trend(one, subjects_of(one), n_boot=100, seed=1).iloc[0]
    assert np.isnan(row["page_l"]) and "no Page's L" in row["note"]


@pytest.mark.parametrize(
    ("dice", "tau", "share", "ends"),
    [
        ((0.9, 0.8, 0.6, 0.3), 1, 1, (2 * 0.025 ** (1 / 6) - 1, 1)),  # exact, of six subjects
        ((0.3, 0.6, 0.8, 0.9), -1, 0, (-1, 1 - 2 * 0.025 ** (1 / 6))),
        ((0.9, 0.6, 0.8, 0.3), 2 / 3, 0, (np.nan, np.nan)),
    ],
)
def test_dice_that_falls_with_severity_has_a_positive_trend(dice, tau, share, ends):
    rows = [
        (subject, f"{subject}-{step}", "student", 0, "sweep-blur", "blur", (step + 1) / 4, "dice", "gm", value)
        for subject in (f"sub-{number}" for number in range(6))
        for step, value in enumerate(dice)
    ]
    scores = pd.DataFrame(rows, columns=list(COLUMNS))
    table = severity_trend(scores, subjects_of(scores), n_boot=100, seed=1)
    row = table[(table["measure"] == "dice") & (table["aggregation"] == "gm")].iloc[0]
    assert len(table) == 1 and row["artefact"] == "blur"
    assert row[["tau", "ci_low", "ci_high"]].tolist() == pytest.approx([tau, *ends], nan_ok=True)
    assert ("as wide as the exact one" in row["note"]) == np.isfinite(ends[0])
    assert ("no interval: the same in every draw of subjects" in row["note"]) == np.isnan(ends[0])
    assert row["share_increasing"] == share


def local_run(own, other, n_subjects=10):
    """Scans of which half has the artefact, and the share of the right and of another head's variance in that half."""
    rows = []
    for subject in range(n_subjects):
        for artefact, wrong in (("noise", "blur"), ("blur", "noise")):
            wobble = 0.01 * (-1) ** subject
            shares = {"volume": 0.5, artefact: own + wobble, wrong: other, "task": 0.5}
            base = (f"sub-{subject}", f"sub-{subject}_{artefact}", "student", 0, f"sim-{artefact}", artefact, 0.5)
            rows += [(*base, "share_inside", head, share) for head, share in shares.items()]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def test_localisation_by_hand_and_against_a_map_without_any_idea():
    scores = local_run(own=0.8, other=0.5)
    table = localisation(scores, subjects_of(scores), n_boot=400, seed=1)
    assert value(table, "share_inside", "noise", "noise")["value"] == pytest.approx(0.8)
    assert value(table, "share_inside", "noise", "blur")["value"] == pytest.approx(0.5)
    row = value(table, "share_inside_gain", "all", "own")
    assert row["value"] == pytest.approx(0.3) and 0.28 < row["ci_low"] < 0.3 < row["ci_high"] < 0.32
    assert (row["n_scans"], row["n_subjects"]) == (20, 10)
    assert value(table, "share_inside_gain", "blur", "blur")["n_scans"] == 10
    lost = local_run(own=0.5, other=0.9)  # the wrong head knows better: no gain for the right one
    row = value(localisation(lost, subjects_of(lost), n_boot=400, seed=1), "share_inside_gain", "all", "own")
    assert row["ci_low"] < 0 < row["ci_high"]


def test_localisation_leaves_out_missing_shares_and_says_so():
    scores = local_run(own=0.8, other=0.5)
    scores.loc[(scores["scan"] == "sub-3_noise") & (scores["aggregation"] == "noise"), "value"] = np.nan
    row = value(localisation(scores, subjects_of(scores), n_boot=50, seed=1), "share_inside", "noise", "noise")
    assert (
        row["n_scans"] == 9
        and "1 of 10 scans left out" in row["note"]
        and row["value"] == pytest.approx(0.8, abs=0.005)
    )
    one = local_run(own=0.8, other=0.5, n_subjects=1)
    table = localisation(one, subjects_of(one), n_boot=50, seed=1)
    assert table["ci_low"].isna().all() and table["note"].str.contains("one subject").all()
    assert localisation(run_of(OWN), subjects_of(run_of(OWN)), n_boot=5, seed=1).empty


def test_the_interval_is_widened_for_the_number_of_subjects_with_an_artefact(monkeypatch):
    """Clean scans of many subjects do not make the artefact scans of a few more certain."""
    scores, asked = run_of(OWN), set()
    few = scores[(scores["condition"] == "clean") | scores["subject"].isin(["sub-00", "sub-01", "sub-02"])]
    monkeypatch.setattr(
        "decoupled_qc.analysis.resampling.percentile_interval", lambda draws, n: (asked.add(n) or 0.0, 0.0)
    )
    assert value(table_of(few), "decoupling_index")["n_subjects"] == 3
    assert asked == {3}


def test_heads_that_order_scans_alike_are_told_from_heads_with_scans_of_their_own():
    scores = run_of(OWN)
    scores.loc[scores["metric"] == "variance_task", "value"] = (
        scores.loc[scores["metric"] == "variance_blur", "value"].to_numpy() ** 2
    )
    table = between_heads(scores, subjects_of(scores), n_boot=200, seed=1)
    assert len(table) == 6  # pairs of four heads
    same = value(table, "head_correlation", "blur", "task")
    assert same["value"] == pytest.approx(1) and same["n_scans"] == 40 and same["n_subjects"] == 10
    own = value(table, "head_correlation", "blur", "noise")
    wide = scores.pivot_table(index="scan", columns="metric", values="value")
    assert own["value"] == pytest.approx(wide["variance_blur"].corr(wide["variance_noise"], method="spearman"))
    assert own["ci_low"] < own["value"] < own["ci_high"] and own["value"] < 0.3


def test_a_head_that_never_moves_has_no_correlation_and_says_why():
    scores = run_of(OWN)
    scores.loc[scores["metric"] == "variance_blur", "value"] = 1e-3
    row = value(between_heads(scores, subjects_of(scores), n_boot=50, seed=1), "head_correlation", "blur", "noise")
    assert np.isnan(row["value"]) and row["note"] == "no value: a variance is the same in all scans"
