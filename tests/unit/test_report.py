import base64
import io
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from decoupled_qc.analysis.real import COLUMNS
from decoupled_qc.paper import tables
from decoupled_qc.report.page import Picture, render

RAMP = np.add.outer(np.arange(1000) / 10, np.arange(2000) / 20).astype(np.uint8)  # to find again


def cells(set_name):
    rows = [(set_name, name, -0.8, -0.9, -0.7, 0.001, 96, 16, 1) for name in ("artefact_uncertainty", "snr", "cnr")]
    return pd.DataFrame(rows, columns=tables.COLUMNS)


@pytest.fixture
def contents(tmp_path):
    png = tmp_path / "figure_7.png"
    Image.fromarray(RAMP).save(png)
    gain = {"set": "simulated", "target": "dice", "baseline": "entropy", "baseline_aggregation": "mean"}
    gain |= {"difference": 0.05, "ci_low": -0.01, "ci_high": 0.12, "p": 0.0123, "p_holm": 0.0456}
    gain |= {"n_scans": 96, "n_subjects": 16, "n_anatomies": 1}
    people = [
        ("sub-a01", "a", "train", "ANTs Atropos"),
        ("sub-b01", "b", "validation", "ANTs Atropos"),
        ("sub-s01", "s1", "test", "surfaces"),
        ("sub-s02", "s1", "test", "FreeSurfer"),
    ]
    return {
        "run": "demo",
        "headline": cells("simulated").iloc[0],
        "paper_tables": [
            tables.parts(cells(name), True, labels="FreeSurfer; surfaces") for name in ("simulated", "real")
        ],
        "real_artefacts": None,
        "difference": pd.DataFrame([gain]),
        "pictures": [Picture("Figure 7", png, "Dice <against> scores, 96 scans.")],
        "manifest": pd.DataFrame(people, columns=["subject", "anatomy", "role", "label_source"]),
        "diagnostics": {
            "teacher-noise": pd.DataFrame({"input": ["clean", "noise"], "variance_noise": [0.012345, 0.2]})
        },
        "trainings": {
            "teacher-noise": Picture("Training of teacher-noise", png, "The noise variance sits at its limit.")
        },
        "costs": pd.DataFrame(
            [("models: teacher", 5, 20.625, 17.125, 41.25, 1.75), ("total", 7, 21.875, 18.5, 42.5, 3.5)],
            columns=["stage", "jobs", "hours", "cpu_hours", "gpu_hours", "peak_memory_gib"],
        ),
        "stand_in": True,
        "rated": False,
        "versions": {"torch": "2.13.0", "commit": "abc"},
    }


def test_page_needs_no_other_file(contents):
    page = render(**contents)
    assert not re.search(r"https?://|<script|<link|src=\"(?!data:)", page)
    pictures = re.findall(r"data:image/webp;base64,([A-Za-z0-9+/=]+)", page)
    shown = [np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))).convert("L")) for picture in pictures]
    assert [picture.shape for picture in shown] == [(800, 1600)] * 2
    smaller = np.asarray(Image.fromarray(RAMP).resize((1600, 800)), float)
    assert max(np.abs(picture - smaller).max() for picture in shown) < 6


def test_page_holds_tables_cohort_networks_and_versions(contents):
    page = render(**contents)
    assert "−0.850" in page and "−0.745" in page and "n = 84" in page
    assert "96 scans" in page and "16 subjects from 1 anatomy" in " ".join(page.split())
    assert "2 test subjects come from 1 anatomy (s1)" in " ".join(page.split())
    assert "No training or validation subject comes from the same" in " ".join(page.split())
    assert page.count("Labels: FreeSurfer; surfaces.") == 2  # stand-ins are made from test subjects
    assert '<td class="words">FreeSurfer; surfaces</td>' in page and '<td class="words">ANTs Atropos</td>' in page
    assert "teacher-noise" in page and "0.0123" in page and "The noise variance sits at its limit." in page
    assert "models: teacher" in page and "41.2" in page
    assert "2.13.0" in page and "abc" in page
    assert "Dice &lt;against&gt; scores" in page


def test_page_shows_what_each_stage_cost_and_says_what_is_counted(contents):
    page = " ".join(render(**contents).partition('<h2 id="costs">')[2].partition("<h2")[0].split())
    assert re.findall(r'<th scope="col"[^>]*>([^<]*)</th>', page) == list(contents["costs"].columns)
    rows = [re.findall(r"<td[^>]*>([^<]*)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", page)]
    assert ["models: teacher", "5", "20.6", "17.1", "41.2", "1.75"] in rows
    assert ["total", "7", "21.9", "18.5", "42.5", "3.5"] in rows
    assert "A row is a stage, not a rule" in page and "counts with its last attempt only" in page


def test_words_stand_on_the_left_and_numbers_on_the_right(contents):
    page = render(**contents)
    assert '<td class="words">Entropy (mean)</td>' in page
    assert (
        "0.050 [−0.010, 0.120]" in page and "0.012" in page and "0.046" in page
    )  # p, and corrected for all comparisons
    assert re.search(r"<td>0\.050 \[", page) and '<th scope="col">scans</th>' in page


def test_page_says_stand_in_only_where_it_is_one(contents):
    assert "Stand-in:" in render(**contents)
    assert "Stand-in: scans with artefacts by foreign simulators" in render(**contents)  # the gains' own footnote
    real = [tables.parts(cells(name), False) for name in ("simulated", "real")]
    assert "stand-in:" not in render(**{**contents, "stand_in": False, "paper_tables": real}).lower()
    assert "come from each scan’s Dice" in render(**contents)
    assert "come from each scan’s Dice" not in render(**contents | {"rated": True})


def test_page_shows_what_finds_the_scans_that_raters_call_bad_the_best_first(contents):
    assert "Finding what raters call bad" not in render(**contents)
    rows = [
        ("auroc", score, "mean", "rating <= 2", value, 0.6, np.nan if score == "snr" else 0.9, 40, 20, "")
        for score, value in (("snr", 0.7), ("artefact_uncertainty", 0.8))
    ]
    found = pd.DataFrame(rows, columns=[name for name in COLUMNS if name not in ("model", "replicate")])
    found.loc[found["score"] == "snr", "ci_low"] = np.nan
    page = render(**contents | {"real_artefacts": found})
    assert page.index("Artefact uncertainty (mean)</td><td>0.800") < page.index("SNR (mean)</td><td>0.700")
    assert "rating &lt;= 2" in page and "0.600 to 0.900" in page


def test_page_warns_of_an_anatomy_on_both_sides(contents):
    contents["manifest"] = contents["manifest"].replace({"anatomy": {"a": "s1"}})
    assert "Training or validation subjects share s1" in " ".join(render(**contents).split())


def test_numbers_that_do_not_exist_are_na(contents):
    assert ">nan<" not in render(**contents).lower()
