"""Every figure is drawn from a run that never happened, and says what that run's files say."""

import json
from itertools import permutations
from pathlib import Path

import matplotlib.text
import numpy as np
import pandas as pd
import pytest
from fake_run import ARTEFACTS, FOREIGN, SPACING_MM, make_fake_run
from phantom import SETTINGS
from PIL import Image

from decoupled_qc import tables, typeset
from decoupled_qc.analysis.correlation import correlate
from decoupled_qc.analysis.decoupling import decoupling
from decoupled_qc.analysis.prediction import decisions
from decoupled_qc.analysis.risk_coverage import risk_coverage
from decoupled_qc.analysis.scores import is_stand_in, read_scores, read_subjects, read_wide
from decoupled_qc.analysis.severity import severity_trend
from decoupled_qc.analysis.volumes import volumes
from decoupled_qc.errors import InputError
from decoupled_qc.figures import style
from decoupled_qc.figures.figure_1 import figure_1, most_unlike
from decoupled_qc.figures.figure_2 import figure_2
from decoupled_qc.figures.figure_3 import figure_3
from decoupled_qc.figures.figure_4 import figure_4
from decoupled_qc.figures.figure_5 import figure_5
from decoupled_qc.figures.figure_6 import figure_6
from decoupled_qc.figures.figure_7 import figure_7
from decoupled_qc.figures.figure_8 import figure_8
from decoupled_qc.figures.figure_9 import figure_9
from decoupled_qc.figures.figure_10 import figure_10
from decoupled_qc.figures.figure_calibration import figure_calibration
from decoupled_qc.figures.figure_leakage import figure_leakage
from decoupled_qc.figures.figure_risk import figure_risk
from decoupled_qc.figures.figure_severity import figure_severity
from decoupled_qc.figures.figure_simulator import SEVERITIES, figure_simulator
from decoupled_qc.figures.figure_training import figure_training
from decoupled_qc.figures.images import gather_scans, read_slices
from decoupled_qc.figures.leaderboard import leaderboard

N_SUBJECTS = 4
DECISION = {"target_dice": 0.85, "error_rate": 0.4}
STAND_IN = "stand-in: artefacts by foreign simulators, not real scans"


class Run:
    """A run's folder and the tables that the figures take."""

    def __init__(self, folder, artefacts):
        self.folder, self.artefacts = folder, list(artefacts)
        scores, manifest = folder / "scores.csv", folder / "cohort/manifest.tsv"
        self.wide = read_wide(scores, manifest)
        draws = {"n_boot": 100, "n_permutations": 99, "seed": 1}
        read = read_scores(scores), read_subjects(manifest)
        self.correlation = correlate(*read, **draws)
        del draws["n_permutations"]
        self.decoupling, self.trend = decoupling(*read, **draws), severity_trend(*read, **draws)
        self.risk = risk_coverage(*read, dice_cuts=[0.5, 0.75, 0.85], **draws)
        self.volumes = volumes(*read, voxel_ml=SPACING_MM**3 / 1000, **draws)
        self.decisions = decisions(*read, **DECISION)
        self.simulated = ["clean", *(f"sim-{name}" for name in artefacts)]

    def scans(self, *conditions):
        return [self.folder / "conditions" / name for name in conditions]

    def maps(self, *conditions):
        return [self.folder / "predictions/student/rep-0" / name for name in conditions]

    def draw(self, name, stand_in=True, **settings):
        """Draw a figure as its rule does."""
        both = (self.scans(*self.simulated), self.maps(*self.simulated))
        real = (self.scans("clean", "real"), self.maps("clean", "real"))
        sweeps = [f"sweep-{artefact}" for artefact in ("noise", "blur") if artefact in self.artefacts]
        drawers = {
            "1": lambda: figure_1(self.wide, *both, self.artefacts),
            "2": lambda: figure_2(self.artefacts, route="paper"),
            "3": lambda: figure_3(self.wide, both[0], self.artefacts, example_severity=0.75),
            "4": lambda: figure_4(self.wide, *both, self.artefacts, example_severity=0.75),
            "5": lambda: figure_5(
                self.wide, self.scans("clean", *sweeps), self.artefacts, spacing_mm=SPACING_MM, **settings
            ),
            "6": lambda: figure_6(self.wide, *both, self.artefacts),
            "7": lambda: figure_7(self.wide, self.correlation, self.artefacts),
            "8": lambda: figure_8(self.wide, *real, self.artefacts, stand_in=stand_in),
            "9": lambda: figure_9(self.wide, *real, self.artefacts, stand_in=stand_in),
            "10": lambda: figure_10(self.wide, self.correlation, self.artefacts, stand_in=stand_in),
            "leaderboard": lambda: leaderboard(self.correlation, stand_in=stand_in),
            "leakage": lambda: figure_leakage(self.decoupling, self.artefacts),
            "risk": lambda: figure_risk(self.wide, self.risk),
            "severity": lambda: figure_severity(self.wide, self.trend, self.artefacts),
            "calibration": lambda: figure_calibration(self.volumes, self.decisions, **DECISION),
            "simulator": lambda: figure_simulator(
                self.folder / "conditions/clean", SETTINGS, spacing_mm=SPACING_MM, seed=0
            ),
        }
        return drawers[name]()


ALL = [
    ("1", {}),
    ("2", {}),
    ("3", {}),
    ("4", {}),
    ("5", {"bars": "sum_var"}),
    ("6", {}),
    ("7", {}),
    ("8", {}),
    ("9", {}),
    ("10", {}),
    ("leaderboard", {}),
    ("leakage", {}),
    ("risk", {}),
    ("severity", {}),
    ("calibration", {}),
    ("simulator", {}),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return Run(make_fake_run(tmp_path_factory.mktemp("run") / "fake", N_SUBJECTS), ARTEFACTS)


@pytest.fixture(scope="module")
def smallest(tmp_path_factory):
    """One test subject and two artefacts, as in a smoke run."""
    folder = tmp_path_factory.mktemp("small") / "fake"
    return Run(make_fake_run(folder, 1, artefacts=("noise", "blur")), ("noise", "blur"))


def texts(drawing):
    found = [text.get_text() for text in drawing.figure.findobj(matplotlib.text.Text)]
    return "\n".join(text for text in found if text)


def read_back(drawing, tmp_path):
    base = tmp_path / "figure"
    files = {name: base.with_suffix(f".{name}") for name in ("pdf", "png", "csv")}
    style.save(drawing, **files, caption=base.with_suffix(".txt"))
    return files


@pytest.mark.parametrize("name", ["4", "7", "8"])
def test_saved_twice_the_files_are_equal(run, tmp_path, name):
    first = {key: path.read_bytes() for key, path in read_back(run.draw(name), tmp_path).items()}
    again = {key: path.read_bytes() for key, path in read_back(run.draw(name), tmp_path).items()}
    assert again == first
    assert first["pdf"].startswith(b"%PDF")
    width, height = (side / style.DPI * style.MM_PER_INCH for side in Image.open(tmp_path / "figure.png").size)
    assert width <= style.TWO_COLUMNS_MM + 0.5 and height <= 225


@pytest.mark.parametrize("name, settings", ALL)
def test_figures_fit_a_page(run, name, settings):
    width, height = run.draw(name, **settings).figure.get_size_inches() * style.MM_PER_INCH
    assert width <= style.TWO_COLUMNS_MM + 0.01 and height <= 225


@pytest.mark.parametrize("name, settings", ALL)
def test_no_text_is_clipped_or_covers_another(run, name, settings):
    assert_texts_fit(run.draw(name, **settings).figure)


def assert_texts_fit(figure):
    """Every text that is drawn lies on the page, and none on another."""
    figure.draw_without_rendering()
    boxes = []
    for text in figure.findobj(lambda item: isinstance(item, matplotlib.text.Text) and item.get_visible()):
        box = text.get_window_extent()
        if text.get_text().strip() and box.width > 0:
            boxes.append((text.get_text(), box))
    # Text that an axis holds but does not draw (ticks out of range, axes switched off) has no place in the layout.
    drawn = [(text, box) for text, box in boxes if _is_drawn(figure, text)]
    page = figure.bbox
    for text, box in drawn:
        assert box.x0 >= page.x0 - 1 and box.x1 <= page.x1 + 1, f"'{text}' runs out of the page sideways"
        assert box.y0 >= page.y0 - 1 and box.y1 <= page.y1 + 1, f"'{text}' runs out of the page in height"
    for index, (text, box) in enumerate(drawn):
        for other, other_box in drawn[index + 1 :]:
            overlap_x = min(box.x1, other_box.x1) - max(box.x0, other_box.x0)
            overlap_y = min(box.y1, other_box.y1) - max(box.y0, other_box.y0)
            assert overlap_x <= 1 or overlap_y <= 1, f"'{text}' and '{other}' overlap"


def _is_drawn(figure, text):
    """Say whether a text is among those that the layout takes into account."""
    for axes in figure.findobj(lambda item: hasattr(item, "get_xticklabels")):
        low, high = sorted(axes.get_xlim()), sorted(axes.get_ylim())
        for axis, limits in ((axes.xaxis, low), (axes.yaxis, high)):
            for tick in axis.get_major_ticks() + axis.get_minor_ticks():
                outside = not limits[0] <= tick.get_loc() <= limits[1]
                if text in (tick.label1.get_text(), tick.label2.get_text()) and (outside or not axes.axison):
                    return False
    return True


@pytest.mark.parametrize("name", ["8", "9", "10", "leaderboard"])
def test_stand_in_is_said_in_the_figure_and_only_where_it_is_one(run, name):
    said = " ".join(texts(run.draw(name)).split())
    assert STAND_IN in said
    assert "stand-in" not in texts(run.draw(name, stand_in=False)).lower()
    assert "stand-in" not in run.draw(name, stand_in=False).caption.lower()


def test_stand_in_is_read_from_the_scores(run):
    assert is_stand_in(run.wide)
    assert not is_stand_in(run.wide.rename(columns={"rating:stand_in": "rating:expert"}))


def test_figure_1_pairs_scans_of_like_severity_and_unlike_dice(run):
    rows = run.draw("1").rows
    assert rows["artefact"].tolist() == [name for name in ARTEFACTS for _ in range(2)]
    for name, pair in rows.groupby("artefact"):
        members = run.wide[run.wide["condition"] == f"sim-{name}"]
        severity, dice = (members.set_index("scan")[column] for column in ("severity", "dice:gm"))
        gaps = {pair: abs(severity[pair[0]] - severity[pair[1]]) for pair in permutations(members["scan"], 2)}
        allowed = max(0.1, min(gaps.values()))
        best = max(dice[one] - dice[other] for (one, other), gap in gaps.items() if gap <= allowed)
        assert pair["severity"].max() - pair["severity"].min() <= allowed
        assert pair["dice"].iloc[0] - pair["dice"].iloc[1] == pytest.approx(best)


def test_a_pair_of_like_severity_beats_one_of_unlike_severity():
    scans = pd.DataFrame({"scan": list("abcd"), "severity": [0.1, 0.15, 0.2, 0.9], "dice:gm": [0.8, 0.5, 0.7, 0.1]})
    assert most_unlike(scans)["scan"].tolist() == ["a", "b"]
    assert most_unlike(scans.iloc[[0, 3]])["scan"].tolist() == ["a", "d"]
    assert most_unlike(scans.iloc[[0]])["scan"].tolist() == ["a"]


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


def test_figure_4_shows_the_scans_and_the_maps_of_the_run(run):
    rows = run.draw("4").rows.set_index("artefact")
    assert list(rows.index) == ARTEFACTS
    for name in ARTEFACTS:
        members = run.wide[run.wide["condition"] == f"sim-{name}"].set_index("scan")
        distances = (members["severity"] - 0.75).abs()
        assert distances[rows.loc[name, "scan"]] == distances.min()
        assert rows.loc[name, "dice"] == members.loc[rows.loc[name, "scan"], "dice:gm"]
        scans = gather_scans(run.scans("clean", f"sim-{name}"))
        found = read_slices(scans, [rows.loc[name, "scan"]], run.maps("clean", f"sim-{name}"), [name])[0]
        assert found.slice_index == rows.loc[name, "axial_slice"]
    drawing = run.draw("4")
    assert f"Dice {rows.loc['noise', 'dice']:.2f}" in texts(drawing)
    assert "one scale in this row" in texts(drawing)


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


def test_figure_9_shows_the_worst_of_each_kind(run):
    rows = run.draw("9").rows
    assert rows["rating"].is_monotonic_increasing and set(rows["artefact"]) == set(FOREIGN)
    real = run.wide[run.wide["condition"] == "real"]
    for row in rows.itertuples():
        assert row.rating == real.loc[real["artefact"] == row.artefact, "rating:stand_in"].min()


def test_figure_10_plots_every_rated_scan_near_its_rating(run):
    drawing = run.draw("10")
    assert len(drawing.rows) == N_SUBJECTS * len(FOREIGN)
    assert ((drawing.rows["height"] - drawing.rows["rating"]).abs() <= 0.3 + 1e-9).all()
    known = run.wide.set_index("scan")["rating:stand_in"]
    assert (known[drawing.rows["scan"]].to_numpy() == drawing.rows["rating"].to_numpy()).all()
    assert "20 scans, 4 subjects, 1 anatomy" in texts(drawing)


def test_leakage_states_where_the_variance_lies_if_an_artefact_was_local(run):
    assert "exceeds" not in run.draw("leakage").caption
    first = run.decoupling[run.decoupling["quantity"] == "decoupling_index"].head(1)
    gain = first.assign(quantity="share_inside_gain", head="own", value=0.123, ci_low=0.1, ci_high=0.15)
    caption = figure_leakage(pd.concat([run.decoupling, gain]), run.artefacts).caption
    assert "exceeds the part's share of the volume by 0.12 [0.10, 0.15]" in caption


def test_leaderboard_ranks_by_strength_and_holds_entropy(run):
    rows = run.draw("leaderboard").rows
    for _, members in rows.groupby("set"):
        assert members["strength"].is_monotonic_decreasing
        assert members["rank"].tolist() == list(range(1, len(members) + 1))
        assert {"artefact_uncertainty", "entropy", "snr", "cnr"} <= set(members["score"])
    np.testing.assert_allclose(rows["strength"], rows["rho"].abs())


@pytest.mark.parametrize("name, settings", ALL)
def test_one_subject_and_two_artefacts_can_be_drawn(smallest, name, settings):
    drawing = smallest.draw(name, **settings)
    assert_texts_fit(drawing.figure)
    assert len(drawing.rows)


@pytest.fixture(scope="module")
def blind(tmp_path_factory):
    """A run whose network finds no grey matter at all: every Dice 0, nothing measured inside the prediction."""
    folder = make_fake_run(tmp_path_factory.mktemp("blind") / "fake", 1, artefacts=("noise", "blur"))
    scores = pd.read_csv(folder / "scores.csv")
    scores.loc[scores["metric"].isin(["dice", "volume_ml"]), "value"] = 0.0
    scores.loc[scores["metric"] == "rating", "value"] = 1.0
    scores.loc[scores["aggregation"].isin(["predicted", "gm_mean"]), "value"] = np.nan
    scores.to_csv(folder / "scores.csv", index=False)
    return Run(folder, ("noise", "blur"))


@pytest.mark.parametrize("name, settings", ALL)
def test_a_blind_network_can_be_drawn_and_says_so(blind, name, settings):
    drawing = blind.draw(name, **settings)
    assert_texts_fit(drawing.figure)
    if name in ("7", "10"):
        assert "ρ = NA" in texts(drawing)
    assert "nan" not in texts(drawing) and "nan" not in drawing.caption


def test_a_blind_networks_tables_state_what_is_missing(blind):
    for set_name in ("simulated", "real"):
        text = typeset.as_text(*tables.parts(tables.correlation_table(blind.correlation, set_name), stand_in=True))
        assert "NA" in text and "nan" not in text


def test_a_colour_belongs_to_an_artefact_whoever_made_it():
    colours = style.palette(ARTEFACTS, FOREIGN)
    assert colours["torchio-motion"] == colours["motion"] and colours["monai-spike"] == colours["spike"]
    assert len({colours[name] for name in (*ARTEFACTS, "none", "ghosting", "gibbs")}) == len(ARTEFACTS) + 3
    fewer = style.palette(ARTEFACTS, [])
    assert all(fewer[name] == colours[name] for name in ARTEFACTS)


def test_slices_are_axial_and_in_the_upper_half_of_the_grey_matter(run):
    scans = gather_scans(run.scans("clean"))
    found = read_slices(scans, [scans["scan"].iloc[0]], run.maps("clean"), ["task"])[0]
    assert found.slice_index in (19, 20)  # the head of ellipsoids is centred in 40 slices, widest there
    assert found.reference.any() and found.predicted.any() and found.variance["task"].shape == found.image.shape


def test_a_scan_without_a_row_in_scans_tsv_is_named(run):
    with pytest.raises(InputError, match="sub-nobody"):
        read_slices(gather_scans(run.scans("clean")), ["sub-nobody"], [], [])


@pytest.mark.parametrize("number", [3, 4, 5, 6, 7, 8, 9, 10])
def test_no_figure_imports_another(number):
    source = Path(style.__file__).with_name(f"figure_{number}.py").read_text()
    others = {str(other) for other in range(3, 11)} - {str(number)}
    assert not any(f"figures.figure_{other} " in source for other in others)


def test_simulator_figure_shows_one_realisation_of_every_artefact_at_rising_severity(run):
    rows = run.draw("simulator").rows
    assert list(rows["artefact"].unique()) == list(SETTINGS)
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
    assert drawing.rows["ci_low"].notna().all()


def test_risk_figure_lies_between_oracle_and_the_mean(run):
    drawing = run.draw("risk")
    curves = drawing.rows[drawing.rows["panel"] == "risk"]
    simulated = run.wide[run.wide["condition"].str.match("clean|sim-")]
    oracle = curves[curves["curve"] == "oracle"]["y"].to_numpy()
    for name in ("artefact uncertainty", "entropy", "SNR", "CNR"):
        own = curves[curves["curve"] == name]["y"].to_numpy()
        assert (own >= oracle - 1e-12).all()
        assert own[-1] == pytest.approx((1 - simulated["dice:gm"]).mean())
    aurc = run.risk.query("score == 'artefact_uncertainty' and aggregation == 'mean' and measure == 'aurc'")[
        "value"
    ].iloc[0]
    assert curves[curves["curve"] == "artefact uncertainty"]["y"].mean() == pytest.approx(aurc)
    assert f"AURC {aurc:.3f}" in drawing.caption


def test_calibration_figure_counts_the_verdicts(run):
    drawing = run.draw("calibration")
    for verdict, count in run.decisions["verdict"].value_counts().items():
        assert f"{verdict} ({count})" in texts(drawing) and f"{count} {verdict}" in drawing.caption
    assert "fitted on other test subjects (3)" in drawing.caption


def training_tables(artefacts):
    steps, looked = np.arange(0, 600, 25), np.arange(0, 601, 60)
    metrics = pd.DataFrame(
        {"step": steps, "loss": 0.5 * np.exp(-steps / 200) - 1, "cross_entropy": np.exp(-steps / 100)}
    )
    metrics = metrics.assign(
        consistency=0.1, epsilon=0.05 * 0.5 ** (steps // 200), learning_rate=3e-3 * 0.5 ** (steps // 200)
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
    assert "3 validation scans" in drawing.caption and "At the end 0.90 on clean patches" in drawing.caption
    rows = drawing.rows.set_index(["quantity", "input"])
    assert rows.loc[("loss", "training"), "value"].to_numpy() == pytest.approx(metrics["loss"].to_numpy())
    for name in artefacts:
        assert (rows.loc[(f"variance_{name}", name), "value"] == 0.3).all()
        assert (rows.loc[(f"variance_{name}", "clean"), "value"] == 0.02).all()
    assert figure_training(metrics, looks, [], "a network", ARTEFACTS).caption.endswith("No sign of collapse.")
