import re

import pandas as pd
import pytest
from score_tables import long_table, subjects_of

from decoupled_qc.analysis.correlation import correlate
from decoupled_qc.analysis.leaderboard import COLUMNS, leaderboard
from decoupled_qc.analysis.rank_ranges import rank_ranges
from decoupled_qc.analysis.replicates import replicates
from decoupled_qc.analysis.risk_coverage import risk_coverage
from decoupled_qc.paper import analysis_tables, paper_table, typeset


def table_of(set_name, **rho):
    rows = [(set_name, score, *found, 0.01, 60, 12, 1) for score, found in rho.items()]
    columns = ["set", "score", "rho", "ci_low", "ci_high", "p", "n_scans", "n_subjects", "n_anatomies"]
    return pd.DataFrame(rows, columns=columns)


NAN = float("nan")
FIRST = table_of("simulated", artefact_uncertainty=(-0.8, -0.9, -0.7), snr=(0.7, 0.5, 0.9), cnr=(-0.5, -0.6, -0.3))
SECOND = table_of("real", artefact_uncertainty=(-0.3, -0.5, -0.1), snr=(NAN, NAN, NAN), cnr=(0.4, NAN, NAN))


DRAWS = {"n_boot": 200, "seed": 1}


def drawn(n_subjects=3, worst_ratio=12.0):
    """What figures 5 and 8 draw: volumes 1.1 times the reference under noise, 1.02 under blur; medians 4 and 2."""
    sweeps, boxes = [], []
    for index in range(n_subjects):
        subject, reference = f"sub-{index}", 600.0 + 50 * index
        for name, value, ends in (
            ("noise", 20.0, (1.0, 0.01)),
            ("noise", -10.0, (1.10 + 0.02 * index, 0.49 + 0.01 * index)),
        ):
            sweeps.append((subject, name, value, ends, reference))
        sweeps.append((subject, "blur", worst_ratio, (1.0 + 0.02 * index, 0.019 + 0.001 * index), reference))
        for group, values in (("clean", (1.0, 2.0, 9.0)), ("artefact", (3.0, 4.0, 5.0))):
            boxes += [(f"{subject}-{group}-{value}", subject, group, value) for value in values]
    rows = [
        {"scan": f"{subject}-{name}-{value}", "subject": subject, "artefact": name, "value": value,
         "severity": 0.0 if value == 20 else 1.0, "volume_ml": ends[0] * reference, "reference_volume_ml": reference,
         "variance_above_clean_ml": ends[1] * reference}
        for subject, name, value, ends, reference in sweeps
    ]  # fmt: skip
    drawn = pd.DataFrame(rows), pd.DataFrame(boxes, columns=["scan", "subject", "group", "artefact_uncertainty"])
    return tuple(table.assign(anatomy="s1") for table in drawn)


def test_figures_5_and_8_beside_the_papers():
    table = paper_table.paper_table(FIRST, SECOND, *drawn(), **DRAWS, stand_in=False)[6:].set_index(["score", "target"])
    assert table["paper"].round(2).tolist() == [1.12, 0.2, 1.02, 0.11, 1.01]
    assert table["this_run"].tolist() == pytest.approx([1.12, 0.5, 1.02, 0.02, 2.0])
    assert table["verdict"].tolist() == ["agrees", "larger", "agrees", "smaller", "larger"]
    assert table["n_scans"].tolist() == [3, 3, 3, 3, 18] and (table["n_subjects"] == 3).all()
    assert (table["n_anatomies"] == 1).all()
    cells = paper_table.as_cells(table.reset_index())
    assert cells["score"].iloc[0] == "Figure 5, noise: volume / reference" and cells["paper"].iloc[0] == "1.12"
    mild = paper_table.paper_table(FIRST, SECOND, *drawn(worst_ratio=6.0), **DRAWS, stand_in=False)
    blur = mild[mild["score"] == "blur"]
    assert blur["verdict"].eq("not comparable (6 fold, paper 12)").all() and blur["this_run"].notna().all()
    one = paper_table.paper_table(FIRST, SECOND, *drawn(n_subjects=1), **DRAWS, stand_in=False)[6:]
    assert one["verdict"].eq("no interval to judge by").all()
    bare = paper_table.paper_table(FIRST, SECOND, drawn()[0].iloc[:0], drawn()[1], **DRAWS, stand_in=False)
    assert bare["set"].tolist() == ["simulated"] * 3 + ["real"] * 3 + ["figure_8"]


def test_difference_and_verdict():
    table = paper_table.paper_table(FIRST, SECOND, *drawn(), **DRAWS, stand_in=False)[:6]
    verdicts = ["agrees", "stronger", "opposite sign", "weaker", "no value", "no interval to judge by"]
    assert table["verdict"].tolist() == verdicts
    assert table["difference"].iloc[0] == pytest.approx(0.05)
    text = typeset.as_text(paper_table.TITLE, paper_table.as_cells(table), paper_table.notes(False))
    assert "−0.850" in text and "nan" not in text and "Stand-in" not in text


def test_a_stand_in_is_not_compared():
    table = paper_table.paper_table(FIRST, SECOND, *drawn(), **DRAWS, stand_in=True)
    assert table.loc[table["set"].isin(["real", "figure_8"]), "verdict"].eq("not comparable (stand-in)").all()
    assert any("Stand-in" in note for note in paper_table.notes(True))


def test_leaderboard_joins_and_ranks():
    scores = long_table(n_subjects=8)
    flat = scores[scores["metric"] == "snr"].assign(metric="entropy", aggregation="mean", value=0.5)
    scores = pd.concat([scores, flat])
    subjects = subjects_of(scores)
    correlation = correlate(scores, subjects, n_boot=50, n_permutations=19, seed=1)
    risk = risk_coverage(scores, subjects, dice_cuts=[0.6, 0.7], n_boot=50, seed=1)
    ranges = rank_ranges(scores, subjects, n_boot=50, seed=1)
    board = leaderboard(correlation, risk, replicates(scores, subjects), ranges, dice_cut=0.7)
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
    other = leaderboard(opposite, none_fails, replicates(down, subjects), ranges, dice_cut=0.1).set_index("score")
    assert "rho has the sign opposite" in other.loc["artefact_uncertainty", "note"]
    assert "no AUROC: no value: no scan has Dice below 0.1" in other.loc["snr", "note"]
    wanted = risk[(risk["score"] == "snr") & (risk["measure"] == "auroc") & (risk["dice_cut"] == 0.7)]["value"].iloc[0]
    assert board.set_index("score").loc["snr", "auroc"] == wanted


def test_analysis_tables_as_a_paper_prints_them(run):
    board = run.board
    parts = {
        "leaderboard": analysis_tables.leaderboard_parts(board, True),
        "difference": analysis_tables.difference_parts(run.difference, True),
        "risk_coverage": analysis_tables.risk_coverage_parts(run.risk, 0.85),
        "decoupling": analysis_tables.decoupling_parts(run.decoupling, run.artefacts),
        "segmentation": analysis_tables.segmentation_parts(run.segmentation, run.artefacts),
        "volumes": analysis_tables.volumes_parts(run.volumes),
        "severity": analysis_tables.severity_parts(run.trend, run.artefacts),
        "correlation": analysis_tables.correlation_parts(run.correlation, run.artefacts),
    }
    for data, title, cells, notes in parts.values():
        # The csv beside it holds numbers, of the rows that are shown.
        assert len(data) >= len(cells) and not data.select_dtypes("number").empty
        assert {"scans", "subjects", "anatomies"} <= set(cells)
        latex = typeset.as_latex(title, cells, notes)
        body = latex.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
        assert len(body) == len(cells) and all(line.count(" & ") == cells.shape[1] - 1 for line in body)
        assert not re.search(r"(?<!\\)[%_#]|(?<!\$)\||nan", latex)
    first = parts["leaderboard"][2].iloc[0]
    low, high = (typeset.number(board[end].iloc[0], 2) for end in ("ci_low", "ci_high"))
    assert first["rho"] == f"{typeset.number(board['rho'].iloc[0], 2)} [{low}, {high}]" and first["rank"].startswith(
        "1 [1, "
    )
    assert set(parts["leaderboard"][2]["set"]) == {"simulated, dice", "stand-in, rating"}
    assert "Stand-in" not in " ".join(analysis_tables.leaderboard_parts(board, False)[3])
    index = run.decoupling[run.decoupling["quantity"] == "decoupling_index"].iloc[0]["value"]
    assert parts["decoupling"][2].iloc[0]["value"].startswith(typeset.number(index, 2))
    own = run.volumes.query("bars == 'sum_sd' and scans == 'with an artefact'").set_index("level")
    row = parts["volumes"][2].set_index("bars").loc["sum sd"]
    assert row[["50 %", "95 %"]].tolist() == [typeset.number(own.loc[level, "coverage"], 2) for level in (0.5, 0.95)]
    clean = run.segmentation.query("scans == 'clean' and measure == 'hausdorff_95_mm'").iloc[0]
    cells = parts["segmentation"][2].set_index("kind of scan")
    assert list(cells.index) == ["all", "clean", *run.artefacts]
    assert cells.loc["clean", "HD95 (mm)"].startswith(typeset.number(clean["value"], 1))
    noise = run.trend.query("artefact == 'noise' and measure == 'dice'").iloc[0]
    assert (
        parts["severity"][2]
        .set_index("artefact")
        .loc["noise", "1 \N{MINUS SIGN} Dice"]
        .startswith(typeset.number(noise["tau"], 2))
    )


def test_decoupling_table_holds_the_sweeps_and_the_mixtures_beside_the_simulated_scans():
    row = {
        "artefact": "all",
        "head": "all",
        "ci_low": 0.3,
        "ci_high": 0.5,
        "n_scans": 9,
        "n_subjects": 3,
        "n_anatomies": 1,
    }
    table = pd.DataFrame(
        [
            {**row, "set": "simulated", "quantity": "decoupling_index", "value": 0.37},
            {**row, "set": "matched", "quantity": "decoupling_index", "value": 0.41},
            {**row, "set": "matched", "quantity": "leakage", "value": 9.0, "artefact": "blur", "head": "blur"},
            {**row, "set": "mixtures", "quantity": "additivity_slope", "value": 0.99},
            {**row, "set": "mixtures", "quantity": "additivity_slope", "value": 0.98, "artefact": "blur+wrap"},
        ]
    )
    data, _, cells, notes = analysis_tables.decoupling_parts(table, ["wrap", "blur"])
    shown = cells.set_index("quantity")["value"].str.split(" ").str[0].to_dict()
    assert shown == {
        "decoupling index (0 to 1)": "0.37",
        "decoupling index at equal severities (0 to 1)": "0.41",
        "mixtures: slope on the sum of their parts (ratio)": "0.99",
        "blur+wrap: slope (ratio)": "0.98",
    }
    assert data["value"].tolist() == [0.37, 0.41, 0.99, 0.98] and "1 if variances add" in notes[-1]


def test_leaderboard_names_the_scores_that_mainly_tell_artefacts_apart(run):
    note = "|rho| is 0.70 over all artefacts together and 0.20 within them: the score mainly tells artefacts apart"
    within = (run.correlation["set"] == "simulated_within_artefact") & (run.correlation["score"] == "entropy")
    correlation = run.correlation.assign(note=run.correlation["note"].where(~within, note))
    board = leaderboard(correlation, run.risk, run.replicates, run.ranges, dice_cut=0.85)
    told = [line for line in analysis_tables.leaderboard_parts(board, True)[3] if "telling artefacts apart" in line]
    assert len(told) == 1 and "Entropy (mean)" in told[0]


def test_difference_and_risk_tables_show_the_tables_own_numbers(run):
    data, _, cells, _ = analysis_tables.difference_parts(run.difference, True)
    assert all(of_set["difference"].is_monotonic_decreasing for _, of_set in data.groupby("set"))
    first, row = data.iloc[0], cells.iloc[0]
    assert row["gain in rho"].startswith(typeset.number(first["difference"], 3)) and row["set"] == "simulated, dice"
    assert set(data["target"]) == {"dice", "rating"} and (data.loc[data["set"] == "real", "target"] == "rating").all()
    data, _, cells, notes = analysis_tables.risk_coverage_parts(run.risk, 0.85)
    assert set(data["dice_cut"].dropna()) == {0.85} and "Dice below 0.85" in notes[0]
    lowest = data[data["measure"] == "aurc"]["value"].min()
    assert cells["AURC"].iloc[0].startswith(typeset.number(lowest, 3))


def test_rho_stands_for_the_scans_with_an_artefact_and_for_each_artefact(run):
    data, _, cells, _ = analysis_tables.correlation_parts(run.correlation, run.artefacts)
    names = ["all simulated scans", "with an artefact", *run.artefacts, "mean of the artefacts"]
    assert cells["scans with"].tolist() == names and cells["scans"].tolist()[:3] == ["24", "20", "4"]
    of_wrap = run.correlation.query("set == 'simulated_wrap' and target == 'dice'").set_index(["score", "aggregation"])
    shown = cells.set_index("scans with").loc["wrap"]
    for key, name in (("artefact_uncertainty", "mean"), "artefact uncertainty"), (("snr", "reference"), "SNR"):
        row = of_wrap.loc[key]
        assert shown[name] == typeset.with_interval(row["rho"], row["ci_low"], row["ci_high"], 2)
    assert set(data["set"]) >= {"simulated_artefact_only", "simulated_within_artefact"}


def test_rows_follow_the_artefacts_order_in_the_config(run):
    order = run.artefacts[::-1]
    _, _, cells, _ = analysis_tables.severity_parts(run.trend, order)
    assert cells["artefact"].tolist() == [name for name in order if name in ("noise", "blur")]
    _, _, cells, _ = analysis_tables.decoupling_parts(run.decoupling, order)
    rise = cells["quantity"].str.extract("(.*): rise of its own head")[0].dropna()
    assert rise.tolist() == order


def test_a_score_on_fewer_scans_is_marked_and_bounds_are_of_all_scans(run):
    lost = run.risk["score"] == "entropy"
    risk = run.risk.assign(n_scans=run.risk["n_scans"] - lost, oracle=run.risk["oracle"].where(~lost, 9.0))
    risk = pd.concat([risk[lost], risk[~lost]])
    _, _, cells, notes = analysis_tables.risk_coverage_parts(risk, 0.85)
    assert [name for name in cells["score"] if name.endswith("*")] == ["Entropy (mean) *"]
    assert "9.000" not in " ".join(notes) and "on fewer scans" in notes[-1]
    board = run.board.assign(n_scans=run.board["n_scans"] - (run.board["score"] == "entropy"))
    _, _, cells, notes = analysis_tables.leaderboard_parts(board, True)
    assert {name for name in cells["score"] if name.endswith("*")} == {"Entropy (mean) *"}
    assert any("on fewer scans" in note for note in notes)


def test_a_risk_table_says_why_a_sensitivity_is_missing(run):
    row = run.risk.iloc[0].to_dict() | {"measure": "sensitivity", "value": NAN, "dice_cut": 0.85, "score": "snr"}
    row |= {"aggregation": "predicted", "note": "2 of 9 scans left out: a value is missing; no threshold: as it is"}
    notes = analysis_tables.risk_coverage_parts(pd.concat([run.risk, pd.DataFrame([row])]), 0.85)[3]
    assert "NA, no threshold: as it is: sensitivity of SNR (predicted masks)." in notes
