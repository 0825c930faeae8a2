"""The figures beyond the paper's say what a run's tables say."""

import json

import numpy as np
import pandas as pd
import pytest
from fake_run import ARTEFACTS
from figure_run import assert_texts_fit, texts
from matplotlib.colors import to_rgba
from matplotlib.lines import Line2D
from phantom import SETTINGS

from decoupled_qc.analysis.leaderboard import leaderboard as ranked
from decoupled_qc.analysis.meaning import higher_is_better
from decoupled_qc.figures.figure_2 import figure_2
from decoupled_qc.figures.figure_leakage import figure_leakage
from decoupled_qc.figures.figure_severity import figure_severity
from decoupled_qc.figures.figure_simulator import SEVERITIES
from decoupled_qc.figures.figure_training import figure_training
from decoupled_qc.figures.leaderboard import leaderboard


def test_leakage_shows_what_all_heads_name_where_there_were_validation_scans(run):
    assert "discriminant" not in run.draw("leakage").caption
    shares = {
        (kind, cause): float(kind == cause) for kind in ("none", *run.artefacts) for cause in ("none", *run.artefacts)
    }
    named = pd.DataFrame(
        [
            {"quantity": "named", "artefact": kind, "head": cause, "value": value}
            for (kind, cause), value in shares.items()
        ]
        + [
            {
                "quantity": "naming_accuracy",
                "artefact": "all",
                "head": "all",
                "value": 0.75,
                "ci_low": 0.6,
                "ci_high": 0.9,
            }
        ]
    ).assign(set="simulated", note="")
    drawing = figure_leakage(pd.concat([run.decoupling, named]), run.artefacts)
    assert "(c) What a verdict would name" in drawing.caption and "0.75 [0.60, 0.90]" in drawing.caption
    panel = drawing.figure.axes[2]
    assert [label.get_text() for label in panel.get_xticklabels()] == ["none", *run.artefacts]


def test_leakage_states_where_the_variance_lies_if_an_artefact_was_local(run):
    assert "exceeds" not in run.draw("leakage").caption
    first = run.decoupling[run.decoupling["quantity"] == "decoupling_index"].head(1)
    gain = first.assign(quantity="share_inside_gain", head="own", value=0.123, ci_low=0.1, ci_high=0.15)
    caption = figure_leakage(pd.concat([run.decoupling, gain]), run.artefacts).caption
    assert "exceeds the part's share of the volume by 0.12 [0.10, 0.15]" in caption


def test_leakage_names_the_two_heads_that_order_the_scans_most_alike(run):
    pairs = run.decoupling[(run.decoupling["quantity"] == "head_correlation") & (run.decoupling["head"] != "task")]
    pairs = pairs[pairs["artefact"] != "task"]
    most = pairs.loc[pairs["value"].idxmax()]
    assert (
        f"The heads of {most['artefact']} and {most['head']} order the scans most alike" in run.draw("leakage").caption
    )


def test_leaderboard_ranks_by_strength_and_holds_entropy(run):
    rows = run.draw("leaderboard").rows
    for name, members in rows.groupby("set"):
        assert members["strength"].is_monotonic_decreasing
        board = run.board[(run.board["set"] == name) & run.board["rho"].notna()]
        assert members["rank"].tolist() == board["rank"].tolist()
        assert {"artefact_uncertainty", "entropy", "snr", "cnr"} <= set(members["score"])
    np.testing.assert_allclose(rows["strength"], rows["rho"] * np.where(rows["score"].isin(higher_is_better()), 1, -1))


def test_leaderboard_tells_what_needs_a_reference_and_what_goes_the_other_way(run):
    own = (run.correlation["set"] == "simulated") & (run.correlation["target"] == "dice")
    up = run.correlation["score"].isin([*higher_is_better(), "entropy"])  # entropy as it should not be
    turned = run.correlation.assign(rho=run.correlation["rho"].abs() * np.where(up, 1, -1))
    turned.loc[own & (turned["score"] == "entropy"), ["rho", "ci_low", "ci_high"]] = [0.99, 0.98, 1.0]
    rows = leaderboard(ranked(turned, run.risk, run.replicates, run.ranges, dice_cut=0.85), stand_in=True).rows
    rows = rows[rows["set"] == "simulated"].set_index(["score", "aggregation"])
    kind, entropy = rows["kind"], rows.loc[("entropy", "mean")]
    # The strongest of all, but with the wrong sign: the last, and drawn below 0.
    assert entropy["rank"] == rows["rank"].max()
    assert entropy[["strength", "low", "high"]].tolist() == pytest.approx([-0.99, -1.0, -0.98])
    assert kind["artefact_uncertainty", "mean"] == kind["snr", "predicted"] == "needs no reference"
    assert kind["cnr", "predicted"] == "needs no reference" and kind["cnr", "reference"] == "uses reference masks"
    assert kind["entropy", "mean"] == "sign opposite to its meaning"


def test_simulator_figure_shows_one_realisation_of_every_artefact_at_rising_severity(run):
    rows = run.draw("simulator").rows
    assert sorted(rows["artefact"].unique()) == sorted(SETTINGS)
    for _, column in rows.groupby("artefact"):
        assert list(column["severity"]) == list(SEVERITIES)
    spikes = [json.loads(record) for record in rows.loc[rows["artefact"] == "spike", "record"]]
    assert len({tuple(record["location"]) for record in spikes[1:]}) == 1
    assert [record["magnitude"] for record in spikes[1:]] == sorted(record["magnitude"] for record in spikes[1:])


def test_leakage_figure_states_the_tables_numbers(run):
    drawing = run.draw("leakage")
    index = run.decoupling.query("set == 'simulated' and quantity == 'decoupling_index'")["value"].iloc[0]
    assert f"Decoupling index {index:.2f}" in drawing.caption
    values = drawing.rows.set_index(["quantity", "artefact", "head"])["value"]
    assert f"{values['leakage', 'noise', 'noise']:.1f}" in texts(drawing)
    few = drawing.rows["quantity"].str.startswith("attribution")  # shares of four subjects have no interval
    assert drawing.rows.loc[~few, "ci_low"].notna().all() and drawing.rows.loc[few, "ci_low"].isna().all()


def test_risk_figure_lies_between_oracle_and_the_mean(run):
    drawing = run.draw("risk")
    curves = drawing.rows[drawing.rows["panel"] == "risk"]
    simulated = run.wide[run.wide["condition"].str.match("clean|sim-")]
    oracle = curves[curves["curve"] == "oracle"]["y"].to_numpy()
    masked = [f"{name} ({mask} masks)" for name in ("SNR", "CNR") for mask in ("reference", "predicted")]
    for name in ("artefact uncertainty", "entropy", *masked):
        own = curves[curves["curve"] == name]["y"].to_numpy()
        assert (own >= oracle - 1e-12).all()
        assert own[-1] == pytest.approx((1 - simulated["dice:gm"]).mean())
    aurc = run.risk.query("score == 'artefact_uncertainty' and aggregation == 'mean' and measure == 'aurc'")[
        "value"
    ].iloc[0]
    assert curves[curves["curve"] == "artefact uncertainty"]["y"].mean() == pytest.approx(aurc)
    assert f"AURC {aurc:.3f}" in drawing.caption


def test_risk_figure_says_how_many_failed_at_each_cut(run):
    n_failed = run.risk.query("score == 'artefact_uncertainty' and measure == 'auroc' and dice_cut == 0.85")["n_failed"]
    assert f"0.85\nn={n_failed.iloc[0]:.0f}" in texts(run.draw("risk"))


def test_severity_figure_begins_with_the_clean_scans_on_a_logarithmic_axis(run):
    wide = run.wide[~(run.wide["condition"].str.startswith("sweep-") & (run.wide["severity"] == 0))]
    drawing = figure_severity(wide, run.trend, run.artefacts)
    clean = drawing.rows[drawing.rows["severity"] == 0]
    assert len(clean) == 6 and set(clean["scan"].str.split("_").str[1]) == {"clean"}
    assert drawing.figure.axes[-1].get_yscale() == "log" and "at severity 0.2, 0.4, 0.6, 0.8, 1" in drawing.caption
    places = drawing.figure.axes[0].get_lines()[0].get_xdata()
    assert places[0] == drawing.figure.axes[0].get_xticks()[0] < 0 and places[1] == 0.2  # clean stands beside the axis


def test_a_colour_of_an_artefact_stands_for_nothing_else(run):
    """Lines and points of figures without artefacts are grey."""
    for name in ("calibration", "risk", "leaderboard"):
        for item in run.draw(name).figure.findobj(Line2D):
            red, green, blue, _ = to_rgba(item.get_color())
            assert red == green == blue


def test_leaderboard_says_which_scores_are_of_fewer_scans(run):
    fewer = run.board["n_scans"] - (run.board["score"] == "entropy")
    drawing = leaderboard(run.board.assign(n_scans=fewer), stand_in=True)
    place = drawing.rows.query("set == 'simulated' and score == 'entropy'")["rank"].iloc[0]
    assert f"{place} (n = 23)" in texts(drawing) and "(n = 24)" not in texts(drawing)
    assert "24 scans, 4 subjects" in texts(drawing)


def test_calibration_figure_counts_the_verdicts(run):
    drawing = run.draw("calibration")
    for verdict, count in run.decisions["verdict"].value_counts().items():
        assert f"{verdict} ({count})" in texts(drawing) and f"{count} {verdict}" in drawing.caption
    # Four test subjects of one head: each is predicted from the other three.
    assert (
        "fitted on other test subjects (3 subjects of 1 anatomy; subjects of one anatomy are alike" in drawing.caption
    )
    for row in run.held.itertuples():
        assert f"{row.scans} {row.coverage:.2f}" in drawing.caption


def training_tables(artefacts):
    steps, looked = np.arange(0, 600, 25), np.arange(0, 601, 60)
    metrics = pd.DataFrame(
        {"step": steps, "loss": 0.5 * np.exp(-steps / 200) - 1, "cross_entropy": np.exp(-steps / 100)}
    )
    metrics = metrics.assign(
        consistency=0.1,
        presence=0.7 * np.exp(-steps / 300),
        epsilon=0.05 * 0.5 ** (steps // 200),
        learning_rate=3e-3 * 0.5 ** (steps // 200),
    )
    rows = [
        {"step": step, "input": name, "n_scans": 3, "dice": 0.9 - 0.02 * place, "twice_cross_entropy": 0.2}
        | {"variance_task": 0.2}
        | {f"variance_{head}": 0.3 if head == name else 0.02 for head in artefacts}
        for step in looked
        for place, name in enumerate(["clean", *artefacts])
    ]
    return metrics, pd.DataFrame(rows)


@pytest.mark.parametrize("artefacts", [[], ["noise"], ARTEFACTS])
def test_training_figure_holds_every_curve_and_the_warnings(artefacts):
    metrics, looks = training_tables(artefacts)
    drawing = figure_training(metrics, looks, ["The noise variance sits at its limit."], "a network", ARTEFACTS)
    assert_texts_fit(drawing.figure)
    assert drawing.caption.endswith("The noise variance sits at its limit.")
    assert "3 validation scans" in drawing.caption and "At the end Dice is 0.90 on clean windows" in drawing.caption
    rows = drawing.rows.set_index(["quantity", "input"])
    assert rows.loc[("loss", "training"), "value"].to_numpy() == pytest.approx(metrics["loss"].to_numpy())
    assert rows.loc[("presence", "training"), "value"].to_numpy() == pytest.approx(metrics["presence"].to_numpy())
    for name in artefacts:
        assert (rows.loc[(f"variance_{name}", name), "value"] == 0.3).all()
        assert (rows.loc[(f"variance_{name}", "clean"), "value"] == 0.02).all()
    assert figure_training(metrics, looks, [], "a network", ARTEFACTS).caption.endswith("No sign of collapse.")


def test_the_leaderboards_places_are_whole_where_a_score_is_of_one_set_alone(run, tmp_path):
    """Read from its csv, where a score without rho in a set has no place."""
    board = run.board.copy()
    board.loc[(board["set"] == "simulated") & (board["score"] == "entropy"), ["rho", "rank"]] = np.nan
    board.to_csv(tmp_path / "leaderboard.csv", index=False)
    drawing = leaderboard(pd.read_csv(tmp_path / "leaderboard.csv"), stand_in=True)
    assert drawing.rows["rank"].dtype.kind == "i" and "1.0" not in texts(drawing).split("\n")
    assert "Entropy (mean)" in texts(drawing)  # it has its line, with a point in the other panel


def test_figure_2_states_the_losses_of_the_run(run):
    common = {"absence_weight": 0.5, "absence_form": "mean", "presence": True, "presence_weight": 0.1}
    routed = figure_2(ARTEFACTS, route="routed", segmentation_loss="plain", beta=0.5, **common)
    assert routed.rows["loss"].iloc[-1] == (
        "CE + V^0.5 (CE / V + ½ log V) + L(σ²(task), task network's) + Σ L(σ²(k), teacher k's) "
        "+ Σ σ²(k) where k is absent + CE of p(k)"
    )
    changes = {"absence_form": "divergence", "presence_weight": 0.0}
    other = figure_2(ARTEFACTS, route="routed", segmentation_loss="attenuated", beta=0.0, **common | changes)
    assert other.rows["loss"].iloc[1] == "(CE / V + ½ log V) + L(σ²(task), task network's) + D(σ²(k)) where k is absent"
    paper = figure_2(ARTEFACTS, route="paper", segmentation_loss="attenuated", beta=0.0, **common | changes)
    assert "absent" not in " ".join(paper.rows["loss"]) and "absent" not in texts(paper)
