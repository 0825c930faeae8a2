import re

import fake_predictions as fake
import pytest
from html_page import Page

from decoupled_qc.errors import InputError
from decoupled_qc.report.group_page import write_group_page

NASTY = "</script><img src=x onerror=alert(1)> \"'&"


def page_of(out, rows):
    fake.write_table(out, rows)
    return Page(write_group_page(out))


def test_outliers_come_first(tmp_path):
    rows = [
        fake.row("fine", "pass", predicted_dice=0.9),
        fake.row("odd", "pass", predicted_dice=0.95, unlike_training=True, unlike_reason="Voxels of 6 mm."),
        fake.row("worse", "fail", predicted_dice=0.3),
        fake.row("bad", "fail", predicted_dice=0.4),
        fake.error_row("broken", "broken.nii.gz cannot be read."),
        fake.row("unsure", "review", predicted_dice=0.7),
    ]
    page = page_of(tmp_path, rows)
    assert [scan["name"] for scan in page.json["scans"]] == ["broken", "worse", "bad", "unsure", "odd", "fine"]
    assert "6 scans: 2 fail, 1 to review, 2 pass, 1 could not be used" in page.text
    assert "1 is unlike the training data" in page.text


def test_a_scan_that_failed_has_its_reason_and_no_page(tmp_path):
    scans = page_of(tmp_path, [fake.error_row("NA", "NA.nii.gz is cut off."), fake.row("b")]).json["scans"]
    assert scans[0] | {"values": 0} == {
        "name": "NA", "page": "", "picture": "", "decision": "error", "cause": "", "note": "NA.nii.gz is cut off.",
        "unlike": False, "low": None, "high": None, "values": 0,
    }  # fmt: skip
    assert set(scans[0]["values"]) == {None}
    assert (scans[1]["page"], scans[1]["picture"]) == ("b/b.html", "b/b_thumbnail.png")


def test_numbers_are_those_of_the_table(tmp_path):
    page = page_of(tmp_path, [fake.row("a", artefact_uncertainty=0.0123456789, gm_volume_ml=612.34)])
    headings = [column["heading"] for column in page.json["columns"]]
    values = dict(zip(headings, page.json["scans"][0]["values"], strict=True))
    assert values["artefact uncertainty"] == 0.012346 and values["GM volume, mL"] == 612.34
    assert {f"{name} uncertainty" for name in fake.ARTEFACTS} < set(headings)


def test_names_and_reasons_never_become_markup_or_leave_the_folder_of_their_link(tmp_path):
    rows = [fake.row(NASTY, folder="a b/#1", unlike_training=True, unlike_reason=NASTY, cause=NASTY)]
    page = page_of(tmp_path, rows)
    assert page.json["scans"][0]["name"] == NASTY and page.json["scans"][0]["cause"] == NASTY
    assert "onerror=alert" not in page.source.replace("\\u003c", "").split('id="data"')[0]
    assert len(page.all("script")) == 2 and not page.all("img")
    assert page.source.count("</script>") == 2
    link = page.json["scans"][0]["page"]
    assert link.startswith("a%20b/%231/%3C/script") and not re.search(r"[<>\"'#& ]", link)


def test_page_needs_nothing_from_elsewhere(tmp_path):
    page = page_of(tmp_path, [fake.row("a")])
    asked = {a[key] for _, a in page.tags for key in ("src", "href") if key in a}
    assert asked == {"#scans", "predictions.csv"}
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|@import|url\(", page.source)


def test_two_thousand_scans_make_a_page_under_two_megabytes(tmp_path):
    page = page_of(tmp_path, [fake.row(f"sub-{n:04d}") for n in range(2000)])
    assert len(page.json["scans"]) == 2000
    assert len(page.source) < 2e6


def test_a_folder_without_predictions_is_named(tmp_path):
    with pytest.raises(InputError, match="predictions.csv does not exist"):
        write_group_page(tmp_path)
    fake.write_table(tmp_path, [fake.row("a")])
    table = tmp_path / "predictions.csv"
    table.write_text(table.read_text().splitlines()[0] + "\n")
    with pytest.raises(InputError, match="has no scan"):
        write_group_page(tmp_path)
