"""What holds for every figure: it fits the page, says when it is a stand-in, and stands what a run may lack."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_run import ARTEFACTS, FOREIGN, make_fake_run
from figure_run import ALL, STAND_IN, Run, assert_texts_fit, read_back, texts
from PIL import Image

from decoupled_qc.analysis.scores import is_stand_in
from decoupled_qc.errors import InputError
from decoupled_qc.figures import style
from decoupled_qc.figures.images import bar_ticks, read_slices, show_scan
from decoupled_qc.paper import tables, typeset
from decoupled_qc.scan_table import read_conditions
from decoupled_qc.simulation.affected import part_of_artefacts


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


@pytest.mark.parametrize("name", ["7", "8", "10"])
@pytest.mark.parametrize("low, high", [(0.0226, 0.0299), (0.00226, 0.00299), (0.0101, 0.0299), (1996, 2004)])
def test_long_numbers_along_an_axis_do_not_touch(run, monkeypatch, name, low, high):
    """Scores nearly alike have ticks of many digits, where an axis is not logarithmic."""
    scores = run.wide.columns[run.wide.columns.str.match("artefact_uncertainty|snr|cnr")]
    narrow = run.wide[scores].rank(pct=True) * (high - low) + low
    monkeypatch.setattr(run, "wide", run.wide.assign(**narrow))
    assert_texts_fit(run.draw(name).figure)


@pytest.mark.parametrize("top", [0.001, 0.0299, 0.33, 0.4, 2.6, 1500.0])
def test_ticks_of_a_colour_bar_lie_apart_on_its_scale_of_roots(top):
    places = np.sqrt(np.array(bar_ticks(top)) / top)
    assert places[0] == 0 and 0.7 <= places[-1] <= 1 and np.diff(places).min() > 0.34


@pytest.mark.parametrize("name", ["8", "9", "10", "leaderboard"])
def test_stand_in_is_said_in_the_figure_and_only_where_it_is_one(run, name):
    said = " ".join(texts(run.draw(name)).split())
    assert STAND_IN in said
    assert "stand-in" not in texts(run.draw(name, stand_in=False)).lower()
    assert "stand-in" not in run.draw(name, stand_in=False).caption.lower()


def test_stand_in_is_read_from_the_scores(run):
    assert is_stand_in(run.wide)
    assert not is_stand_in(run.wide.rename(columns={"rating:stand_in": "rating:expert"}))


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
    scans = read_conditions(run.scans("clean"))
    found = read_slices(scans, [scans["scan"].iloc[0]], run.maps("clean"), ["task"])[0]
    assert found.slice_index in (19, 20)  # the head of ellipsoids is centred in 40 slices, widest there
    assert found.reference.any() and found.predicted.any() and found.variance["task"].shape == found.image.shape


def test_a_scan_without_a_row_in_scans_tsv_is_named(run):
    with pytest.raises(InputError, match="sub-nobody"):
        read_slices(read_conditions(run.scans("clean")), ["sub-nobody"], [], [])


FAR = {"axis": 0, "centre": 0.25, "far_side": True}


@pytest.mark.parametrize(
    ("records", "share"),
    [
        ([], 1.0),
        ([{"local": None}], 1.0),
        ([{"artefact": "torchio-noise"}], 1.0),  # a foreign simulator's
        ([{"local": FAR}], 0.75),
        ([{"local": FAR}, {"local": FAR | {"far_side": False}}], 1.0),
        ([{"local": FAR}, {"local": None}], 1.0),
    ],
)
def test_the_part_of_a_scan_is_that_of_its_artefacts_together(records, share):
    part = part_of_artefacts(records, (40, 4, 4))
    assert part.mean() == share and (part == part[:, :1, :1]).all()


@pytest.mark.parametrize(
    ("affected", "lines", "said"), [(1.0, 0, ""), (0.4, 1, ""), (0.0, 0, "slice outside\nthe part")]
)
def test_a_dashed_line_shows_which_part_of_a_slice_an_artefact_covers(run, affected, lines, said):
    scans = read_conditions(run.scans("clean"))
    found = read_slices(scans, [scans["scan"].iloc[0]], [], [])[0]
    width = found.image.shape[1]
    where = np.broadcast_to(np.arange(width) < affected * width, found.image.shape)
    axes = style.new_figure(50, 50).subplots()
    show_scan(axes, replace(found, affected=where))
    assert len(axes.collections) == lines and axes.get_xlabel() == said


def test_a_foreign_artefact_has_the_marker_of_ours_and_tells_its_tool_by_the_fill():
    names = ["monai-spike", "torchio-spike", "torchio-motion", "none"]
    marks = style.markers(ARTEFACTS, names)
    assert marks["monai-spike"] == marks["torchio-spike"] == marks["spike"] == style.markers(ARTEFACTS, [])["spike"]
    assert len({marks[name] for name in (*ARTEFACTS, "none")}) == len(ARTEFACTS) + 1
    assert style.hollow(names) == {"monai-spike"}


@pytest.mark.parametrize("number", range(1, 11))
def test_no_figure_imports_another(number):
    source = Path(style.__file__).with_name(f"figure_{number}.py").read_text()
    others = {str(other) for other in range(1, 11)} - {str(number)}
    assert not any(f"figures.figure_{other} " in source for other in others)
