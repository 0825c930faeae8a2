"""Figures 1 to 10 of the paper say what a run's files say."""

import json
from itertools import permutations

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from fake_run import ARTEFACTS, FOREIGN, SPACING_MM
from figure_run import N_SUBJECTS, texts

from decoupled_qc.errors import InputError
from decoupled_qc.figures.figure_1 import least_and_most
from decoupled_qc.figures.figure_3 import one_subject
from decoupled_qc.figures.figure_5 import figure_5
from decoupled_qc.figures.figure_9 import figure_9
from decoupled_qc.figures.images import read_slices
from decoupled_qc.scan_table import read_conditions


def test_figure_1_pairs_scans_of_like_severity_with_the_artefact_in_and_outside_grey_matter(run):
    drawing = run.draw("1")
    rows, table = drawing.rows, read_conditions(run.scans(*run.simulated)).set_index("scan")
    assert rows["artefact"].tolist() == [name for name in ARTEFACTS for _ in range(2)]
    n_unlike = n_falls = 0
    for name, pair in rows.groupby("artefact"):
        members = run.wide[run.wide["condition"] == f"sim-{name}"]
        severity, dice = (members.set_index("scan")[column] for column in ("severity", "dice:gm"))
        share = {}
        for scan, found in table.loc[members["scan"]].iterrows():
            local, grey = json.loads(found["records"])[0]["local"], nib.load(found["dseg"]).get_fdata() == 2
            first = (
                0 if local is None else int(np.floor(local["centre"] * len(grey) + 0.5))
            )  # the first slice of the far side
            share[scan] = grey[first:].sum() / grey.sum()
        gaps = {pair: abs(severity[pair[0]] - severity[pair[1]]) for pair in permutations(members["scan"], 2)}
        allowed = max(0.1, min(gaps.values()))
        best = max(share[other] - share[one] for (one, other), gap in gaps.items() if gap <= allowed)
        assert pair["severity"].max() - pair["severity"].min() <= allowed
        assert pair["grey_matter_share"].tolist() == pytest.approx([share[scan] for scan in pair["scan"]])
        assert pair["grey_matter_share"].iloc[1] - pair["grey_matter_share"].iloc[0] == pytest.approx(best)
        assert f"{100 * pair['grey_matter_share'].iloc[0]:.0f} % of GM" in texts(drawing)
        n_unlike += sum(share[one] < share[other] for (one, other), gap in gaps.items() if gap <= allowed)
        n_falls += sum(
            share[one] < share[other] and dice[one] > dice[other]
            for (one, other), gap in gaps.items()
            if gap <= allowed
        )
    assert f"Of all {n_unlike} pairs" in drawing.caption and f"with less of it in {n_falls};" in drawing.caption


def test_a_pair_of_like_severity_beats_one_of_unlike_severity():
    scans = pd.DataFrame({"scan": list("abcd"), "severity": [0.1, 0.15, 0.2, 0.9], "dice:gm": [0.8, 0.5, 0.7, 0.1]})
    scans["grey_matter_share"] = [0.2, 0.9, 0.5, 1.0]
    assert least_and_most(scans)["scan"].tolist() == ["a", "b"]
    assert least_and_most(scans.iloc[[0, 3]])["scan"].tolist() == ["a", "d"]
    assert least_and_most(scans.iloc[[0]])["scan"].tolist() == ["a"]


def test_of_pairs_that_differ_alike_the_nearest_is_shown_then_the_first_whatever_their_dice():
    scans = pd.DataFrame({"scan": list("abcd"), "severity": [0.1, 0.18, 0.2, 0.9], "grey_matter_share": 1.0})
    for dice in ([0.9, 0.8, 0.7, 0.1], [0.1, 0.7, 0.8, 0.9]):
        assert least_and_most(scans.assign(**{"dice:gm": dice}))["scan"].tolist() == ["b", "c"]
    alike = scans.assign(severity=[0.1, 0.2, 0.3, 0.4], **{"dice:gm": [0.9, 0.8, 0.1, 0.7]})
    assert least_and_most(alike)["scan"].tolist() == ["a", "b"]


def test_figure_2_names_every_network_and_where_it_learns_from(run):
    drawing = run.draw("2")
    rows = drawing.rows.set_index("network")
    assert list(rows.index) == ["task", *(f"teacher-{name}" for name in ARTEFACTS), "student"]
    assert rows.loc["student", "pseudo_label_of"].split() == ["task", *ARTEFACTS]
    assert all(name in texts(drawing) for name in ARTEFACTS) and "'paper'" in drawing.caption


def test_figure_3_shows_one_subject_clean_and_with_each_artefact(run):
    rows = run.draw("3").rows
    assert rows["artefact"].tolist() == ["none", *ARTEFACTS]
    assert rows["subject"].nunique() == 1 and rows["axial_slice"].nunique() == 1
    known = run.wide.set_index("scan")
    assert (known.loc[rows["scan"], "artefact"].to_numpy() == rows["artefact"].to_numpy()).all()


def test_figure_3_shows_one_common_severity_where_a_subject_has_all_sweeps():
    rows = [("sub-1", "clean", "none", 0.0), ("sub-2", "clean", "none", 0.0), ("sub-1", "sim-noise", "noise", 0.75)]
    sweeps = [(0.2, "sub-2"), (0.6, "sub-2"), (0.6, "sub-1"), (0.8, "sub-1")]
    rows += [(subject, f"sweep-{name}", name, level) for level, subject in sweeps for name in ("noise", "blur")]
    rows += [("sub-1", "sweep-noise", "noise", 0.75)]
    wide = pd.DataFrame(rows, columns=["subject", "condition", "artefact", "severity"])
    chosen, reason = one_subject(wide, ["noise", "blur"], 0.75)
    assert chosen["severity"].to_dict() == {"none": 0.0, "noise": 0.8, "blur": 0.8}
    assert set(chosen["subject"]) == {"sub-1"} and reason.startswith("All at severity 0.8")
    assert one_subject(wide, ["noise", "blur", "wrap"], 0.75)[1].startswith("Of all subjects")


def test_figure_4_shows_the_scans_and_the_maps_of_the_run(run):
    rows = run.draw("4").rows.set_index("artefact")
    assert list(rows.index) == ARTEFACTS
    for name in ARTEFACTS:
        members = run.wide[run.wide["condition"] == f"sim-{name}"].set_index("scan")
        distances = (members["severity"] - 0.75).abs()
        assert distances[rows.loc[name, "scan"]] == distances.min()
        assert rows.loc[name, "dice"] == members.loc[rows.loc[name, "scan"], "dice:gm"]
        scans = read_conditions(run.scans("clean", f"sim-{name}"))
        found = read_slices(scans, [rows.loc[name, "scan"]], run.maps("clean", f"sim-{name}"), [name])[0]
        assert found.slice_index == rows.loc[name, "axial_slice"]
    drawing = run.draw("4")
    assert f"Dice {rows.loc['noise', 'dice']:.2f}" in texts(drawing)
    assert "one scale in this row" in texts(drawing)
    worst = rows["dice"].idxmin()
    assert f"Lowest Dice: {worst}, where the network finds" in drawing.caption


@pytest.mark.parametrize("bars", ["sum_var", "sqrt_sum_var"])
def test_figure_5_bars_follow_equation_8(run, bars):
    drawing = run.draw("5", bars=bars)
    rows = drawing.rows
    row = rows[rows["artefact"] == "noise"].iloc[-1]
    variance = run.wide.set_index("scan")["volume_variance_ml:gm"]
    above = variance[row["scan"]] - variance[f"{row['subject']}_clean"]
    assert row["variance_above_clean_ml"] == pytest.approx(max(above, 0))
    voxel_ml = SPACING_MM**3 / 1000
    # As counts of voxels: the sum of variances v_n has the standard deviation sqrt(v_n).
    expected = above if bars == "sum_var" else np.sqrt(above / voxel_ml) * voxel_ml
    assert row["half_width_ml"] == pytest.approx(expected)
    assert ("ΔV, summed" if bars == "sum_var" else "√ΔV") in texts(drawing)
    assert "36 scans, 3 subjects, 1 anatomy" in texts(drawing)


def test_figure_5_reads_decibels_and_ratios_from_the_records(run):
    rows = run.draw("5", bars="sum_var").rows
    noise, blur = (rows[rows["artefact"] == name] for name in ("noise", "blur"))
    np.testing.assert_allclose(noise["value"], 20 - 30 * noise["severity"])
    np.testing.assert_allclose(blur["value"], 2 + 10 * blur["severity"])


def test_figure_5_states_the_worst_of_each_sweep_where_they_end_at_different_severities(run):
    wide = run.wide[~((run.wide["condition"] == "sweep-blur") & (run.wide["severity"] > 0.7))]
    folders = run.scans("clean", "sweep-noise", "sweep-blur")
    drawing = figure_5(wide, folders, ARTEFACTS, bars="sum_var", spacing_mm=SPACING_MM)
    blur = drawing.rows[(drawing.rows["artefact"] == "blur") & np.isclose(drawing.rows["severity"], 0.6)]
    volume, bar = (blur["volume_ml"] / blur["reference_volume_ml"]).mean(), blur["half_width_ml"].mean()
    assert (
        f"at the worst blur the volume is {100 * volume:.0f} % of the reference with bars of ±{bar:.1f} mL"
        in drawing.caption
    )
    assert "nan" not in drawing.caption


def test_figure_5_begins_with_the_clean_scan_of_a_sweep_without_severity_0(run):
    wide = run.wide[~(run.wide["condition"].str.startswith("sweep-") & (run.wide["severity"] == 0))]
    folders = run.scans("clean", "sweep-noise", "sweep-blur")
    drawing = figure_5(wide, folders, ARTEFACTS, bars="sum_var", spacing_mm=SPACING_MM)
    clean = drawing.rows[drawing.rows["severity"] == 0]
    assert set(clean["scan"].str.split("_").str[1]) == {"clean"} and len(clean) == 6  # 3 subjects, two sweeps
    assert (clean["half_width_ml"] == 0).all() and "clean" in texts(drawing)


def test_figure_5_without_the_clean_scan_or_with_unknown_bars(run):
    wide = run.wide[run.wide["scan"] != f"{run.wide['subject'].min()}_clean"]
    settings = {"artefacts": ARTEFACTS, "spacing_mm": SPACING_MM}
    folders = run.scans("clean", "sweep-noise", "sweep-blur")
    with pytest.raises(InputError, match="no clean scan"):
        figure_5(wide, folders, bars="sum_var", **settings)
    with pytest.raises(InputError, match="analysis.bars"):
        figure_5(run.wide, folders, bars="sigma", **settings)


def test_figure_6_goes_from_worst_to_best(run):
    rows = run.draw("6").rows
    simulated = run.wide[run.wide["condition"].str.match("clean|sim-")]
    assert rows["dice"].is_monotonic_increasing and len(rows) == 6
    assert rows["dice"].iloc[0] == simulated["dice:gm"].min() and rows["dice"].iloc[-1] == simulated["dice:gm"].max()
    assert f"Dice {rows['dice'].iloc[0]:.2f}" in texts(run.draw("6"))


def test_figure_7_plots_the_scores_and_states_the_correlations(run):
    drawing = run.draw("7")
    scores = pd.read_csv(run.folder / "scores.csv")
    assert len(drawing.rows) == N_SUBJECTS * (1 + len(ARTEFACTS))
    for column, metric, aggregation in (
        ("dice", "dice", "gm"),
        ("artefact_uncertainty", "artefact_uncertainty", "mean"),
        ("snr", "snr", "reference"),
        ("cnr", "cnr", "reference"),
    ):
        wanted = scores[(scores["metric"] == metric) & (scores["aggregation"] == aggregation)].set_index("scan")[
            "value"
        ]
        np.testing.assert_allclose(drawing.rows[column], wanted[drawing.rows["scan"]], rtol=1e-12)
    plotted = np.concatenate([points.get_offsets() for points in drawing.figure.axes[0].collections])
    expected = drawing.rows[["artefact_uncertainty", "dice"]].to_numpy()
    np.testing.assert_allclose(np.sort(plotted, axis=0), np.sort(expected, axis=0))
    row = run.correlation.query("set == 'simulated' and score == 'artefact_uncertainty' and aggregation == 'mean'")
    rho = f"ρ = {row['rho'].iloc[0]:.2f}".replace("-", "−")
    assert rho in texts(drawing) and rho in drawing.caption
    assert "24 scans, 4 subjects, 1 anatomy" in texts(drawing)


def test_figure_8_boxes_hold_clean_and_real_scans(run):
    drawing = run.draw("8")
    groups = drawing.rows.groupby("group")["scan"].count()
    assert groups["clean"] == N_SUBJECTS and groups["artefact"] == N_SUBJECTS * len(FOREIGN)
    shown = drawing.rows[drawing.rows["shown_as_example"]]
    assert sorted(shown["artefact"]) == ["torchio-ghosting", "torchio-noise"]
    assert "20 scans" in texts(drawing) and "1 anatomy" in texts(drawing)


def test_figure_9_shows_the_worst_and_the_best_of_different_kinds(run):
    drawing = run.draw("9")
    rows, real = drawing.rows, run.wide[run.wide["condition"] == "real"]
    worst, best = rows[:3], rows[3:]
    assert len(rows) == 6 and rows["scan"].is_unique and rows["rating"].is_monotonic_increasing
    for half, extreme in ((worst, "min"), (best, "max")):
        assert half["artefact"].nunique() == 3
        kinds = real.groupby("artefact")["rating:stand_in"].agg(extreme)
        assert half["rating"].tolist() == kinds[half["artefact"]].tolist()
        assert sorted(half["rating"]) == sorted(kinds.sort_values(ascending=extreme == "min")[:3])
    assert worst["rating"].iloc[0] == real["rating:stand_in"].min()
    assert best["rating"].iloc[-1] == real["rating:stand_in"].max()
    assert "3 worst-rated and 3 best-rated among 20 scans" in drawing.caption


def test_figure_9_fills_up_with_scans_of_one_kind(run):
    wide = run.wide.assign(artefact=run.wide["artefact"].where(run.wide["condition"] != "real", "motion"))
    both = run.scans("clean", "real"), run.maps("clean", "real")
    rows = figure_9(wide, *both, ARTEFACTS, stand_in=False, levels=4).rows
    ratings = np.sort(wide.loc[wide["condition"] == "real", "rating:stand_in"])
    assert rows["rating"].tolist() == [*ratings[:3], *ratings[-3:]]


def test_figure_10_plots_every_rated_scan_near_its_rating(run):
    drawing = run.draw("10")
    assert len(drawing.rows) == N_SUBJECTS * len(FOREIGN)
    assert ((drawing.rows["height"] - drawing.rows["rating"]).abs() <= 0.12 + 1e-9).all()
    effects = drawing.rows["artefact"].str.removeprefix("torchio-").str.removeprefix("monai-")
    assert list(dict.fromkeys(effects))[:3] == ["spike", "noise", "motion"]  # in the config's order, others behind
    known = run.wide.set_index("scan")["rating:stand_in"]
    assert (known[drawing.rows["scan"]].to_numpy() == drawing.rows["rating"].to_numpy()).all()
    assert "20 scans, 4 subjects, 1 anatomy" in texts(drawing)


@pytest.mark.parametrize("levels", [3, 4])
def test_a_rating_is_told_with_the_levels_of_its_scale(run, monkeypatch, levels):
    """MR-ART's raters gave three."""
    capped = run.wide["rating:stand_in"].clip(upper=levels)
    monkeypatch.setattr(run, "wide", run.wide.assign(**{"rating:stand_in": capped}))
    told = [line for line in texts(run.draw("9", stand_in=False, levels=levels)).splitlines() if "rating " in line]
    assert [line.rpartition(" of ")[2] for line in told] == [str(levels)] * 6
    assert f"rating {levels} of {levels}" in told
    panel = run.draw("10", stand_in=False, levels=levels).figure.axes[0]
    assert list(panel.get_yticks()) == list(range(1, levels + 1)) and panel.get_ylim() == (0.5, levels + 0.5)
    assert panel.get_ylabel() == f"rating (1 worst, {levels} best)"
