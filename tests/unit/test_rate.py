"""Blind rating: the page, what it keeps, the table it gives, and how far raters agree."""

import base64
import re
import shutil
import subprocess

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from decoupled_qc import cli
from decoupled_qc.errors import InputError
from decoupled_qc.rating import judgements
from decoupled_qc.rating.agreement import agreement

SCANS = [f"sub-{n}_acq-{kind}" for n in range(3) for kind in ("standard", "headmotion2")]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture
def results(tmp_path):
    """A run with one box of grey matter per scan, each of another size."""
    maps = tmp_path / "run/predictions/student/rep-0/real"
    maps.mkdir(parents=True)
    (tmp_path / "run/conditions/real").mkdir(parents=True)
    pd.DataFrame({"scan": SCANS}).to_csv(tmp_path / "run/conditions/real/scans.tsv", sep="\t", index=False)
    for number, scan in enumerate(SCANS):
        label = np.zeros((12, 14, 10), np.uint8)
        label[2 : 4 + number, 3:10, 2:8] = 1
        nib.save(nib.Nifti1Image(label, np.eye(4)), maps / f"{scan}_dseg.nii.gz")
    return tmp_path / "run"


def make(results, rater="anna"):
    assert cli.main(["rate", str(results), "--rater", rater]) == 0
    return (results / f"rate-{rater}.html").read_text()


def order(text):
    return [base64.b64decode(code).decode() for code in re.findall(r'"code": "([^"]+)"', text)]


def test_the_page_is_blind_complete_and_alone(results):
    text = make(results)
    assert sorted(order(text)) == sorted(SCANS) and order(text) != SCANS
    assert not any(word in text for word in ("sub-0", "headmotion", "standard", "http"))
    assert order(make(results, "bela")) != order(text) == order(make(results))


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


def press(page, keys, profile):
    """Open the page in a browser, press keys, and return the table that it would save."""
    script = "".join(f'document.dispatchEvent(new KeyboardEvent("keydown", {{key: "{key}"}}));' for key in keys)
    script += 'document.body.innerHTML = "<pre>" + table() + "</pre>";'
    opened = page.with_name("opened.html")
    opened.write_text(page.read_text() + f"<script>{script}</script>")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", "--dump-dom"]
    done = subprocess.run([CHROMIUM, *options, opened.as_uri()], capture_output=True, text=True, timeout=120)
    found = re.search(r"<pre>(.*)</pre>", done.stdout, re.DOTALL)[1]
    return [line.split("\t") for line in found.split("\n")[1:] if line]


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_keys_rate_and_the_page_keeps_them_when_it_is_closed(results, tmp_path):
    text = make(results)
    first = order(text)
    page = results / "rate-anna.html"
    assert press(page, ["3", "1", "7"], tmp_path / "profile") == sorted(
        [[first[0], "anna", "3"], [first[1], "anna", "1"]]
    )
    again = press(page, ["4", "ArrowLeft", "2"], tmp_path / "profile")  # begins at the first that is not rated
    assert dict((row[0], row[2]) for row in again) == {first[0]: "3", first[1]: "1", first[2]: "2"}


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
    assert cli.main(["agreement", str(tmp_path / "r.tsv"), "--out", str(tmp_path / "all.tsv")]) == 0
    assert "kappa" in capsys.readouterr().out and len(judgements.read_rater_table(tmp_path / "all.tsv")) == 8
    assert cli.main(["agreement", str(tmp_path / "r.tsv"), str(tmp_path / "r.tsv")]) == 2
    assert "Two tables have a rating of sub-0_x by a" in capsys.readouterr().err
