"""Blind rating: the page, what it keeps, the table it gives, and how far raters agree."""

import base64
import io
import re

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from rated_run import SCANS, make_rated_run, shown_order
from sklearn.metrics import cohen_kappa_score

from decoupled_qc import cli
from decoupled_qc.errors import InputError
from decoupled_qc.rating import judgements, rate
from decoupled_qc.rating.agreement import agreement


@pytest.fixture
def results(tmp_path):
    return make_rated_run(tmp_path / "run")


def make(results, rater="anna"):
    assert cli.main(["rate", str(results), "--rater", rater]) == 0
    return (results / f"rate-{rater}.html").read_text()


def test_the_page_is_blind_complete_and_alone(results):
    text = make(results)
    assert sorted(shown_order(text)) == sorted(SCANS) and shown_order(text) != SCANS
    assert not any(word in text for word in ("sub-0", "headmotion", "standard", "http"))
    assert shown_order(make(results, "bela")) != shown_order(text) == shown_order(make(results))


def test_a_picture_holds_the_cuts_of_its_own_segmentation_and_nothing_else(results):
    text = make(results)
    pictures = re.findall(r'"picture": "([^"]+)"', text)
    scans = shown_order(text)
    assert len(pictures) == len(set(pictures)) == len(scans) == len(SCANS)
    assert not re.search(r"<(img|script|link)[^>]* (src|href)=", text)  # there are no other pictures
    for scan, picture in zip(scans, pictures, strict=True):
        shown = Image.open(io.BytesIO(base64.b64decode(picture)))
        assert shown.mode == "1" and not shown.info  # black and white, and no words in it
        number = SCANS.index(scan)
        label = np.asanyarray(nib.load(results / f"predictions/student/rep-0/real/{scan}_dseg.nii.gz").dataobj)
        first = np.asarray(shown)[: rate.TILE_PIXELS, : rate.TILE_PIXELS]  # an axial cut, 14 voxels a side
        cut = np.pad(label[:, :, 4].T[::-1], [(0, 0), (1, 1)]) > 0
        centres = ((np.arange(14) + 0.5) * rate.TILE_PIXELS / 14).astype(int)
        assert np.array_equal(first[np.ix_(centres, centres)], cut) and cut.sum() == 7 * (2 + number)
        assert picture == rate.picture(results / f"predictions/student/rep-0/real/{scan}_dseg.nii.gz")


def test_scans_named_by_numbers_are_rated_under_their_names(tmp_path):
    assert sorted(shown_order(make(make_rated_run(tmp_path, ["0001", "0002"])))) == ["0001", "0002"]


def test_a_run_without_segmentations_and_a_name_that_cannot_be(results, capsys):
    assert cli.main(["rate", str(results), "--rater", "anna", "--condition", "clean"]) == 2
    assert "clean/scans.tsv does not exist: give the folder of a run" in capsys.readouterr().err
    assert cli.main(["rate", str(results), "--rater", "../anna"]) == 2
    assert "is no plain name" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "rater"), [("anna", "anna"), ("anna.b@lab", "anna-b-lab"), (None, "rater")])
def test_without_a_name_the_rater_is_who_is_logged_in(name, rater, results, monkeypatch):
    def getuser():
        if name is None:
            raise KeyError("getpwuid(): uid not found: 1000")
        return name

    monkeypatch.setattr("getpass.getuser", getuser)
    assert cli.main(["rate", str(results)]) == 0
    assert f'const rater = "{rater}"' in (results / f"rate-{rater}.html").read_text()


def table(path, rows):
    path.write_text("scan\trater\trating\n" + "".join("\t".join(map(str, row)) + "\n" for row in rows))
    return path


def test_ratings_of_several_raters_are_averaged(tmp_path):
    path = table(tmp_path / "r.tsv", [(SCANS[0], "a", 4), (SCANS[0], "b", 3), (SCANS[1], "a", 1)])
    found = judgements.read_ratings(path, pd.Series(SCANS))
    assert found[SCANS[0]] == 3.5 and found[SCANS[1]] == 1 and found[SCANS[2:]].isna().all()


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ([(SCANS[0], "a", 5)], "rating '5' in row 2: use 1"),
        ([(SCANS[0], "a", 1), (SCANS[0], "a", 2)], "two ratings of sub-0_acq-standard by a"),
        ([("sub-9", "a", 1)], "rates none of the scans of condition real, such as sub-0_acq-standard"),
    ],
)
def test_tables_of_ratings_that_cannot_be_used(rows, named, tmp_path):
    with pytest.raises(InputError, match=named):
        judgements.read_ratings(table(tmp_path / "r.tsv", rows), pd.Series(SCANS))


def test_kappa_by_hand(tmp_path, capsys):
    """Observed and chance disagreement, squared: grades 1 1 4 4 against 1 2 4 4."""
    rows = [
        (f"sub-{n}_x", rater, grade)
        for rater, grades in {"a": "1144", "b": "1244"}.items()
        for n, grade in enumerate(grades)
    ]
    ratings = judgements.read_rater_table(table(tmp_path / "r.tsv", rows))
    found = agreement(ratings).iloc[0]
    chance = np.mean([(one - other) ** 2 for one in (1, 1, 4, 4) for other in (1, 2, 4, 4)])
    assert found["kappa"] == pytest.approx(1 - (1 / 4) / chance)
    assert found["kappa"] == pytest.approx(
        cohen_kappa_score([1, 1, 4, 4], [1, 2, 4, 4], labels=[1, 2, 3, 4], weights="quadratic")
    )
    assert found["same"] == 0.75 and found["n_scans"] == found["n_subjects"] == 4
    assert found["ci_low"] <= found["kappa"] <= found["ci_high"]
    people = pd.Series(["p", "p", "q", "q"], index=[f"sub-{n}_x" for n in range(4)])
    assert agreement(ratings, people).iloc[0][["n_scans", "n_subjects"]].tolist() == [4, 2]
    assert cli.main(["agreement", str(tmp_path / "r.tsv"), "--out", str(tmp_path / "all.tsv")]) == 0
    assert "kappa" in capsys.readouterr().out and len(judgements.read_rater_table(tmp_path / "all.tsv")) == 8
    assert cli.main(["agreement", str(tmp_path / "r.tsv"), str(tmp_path / "r.tsv")]) == 2
    assert "Two tables have a rating of sub-0_x by a" in capsys.readouterr().err
