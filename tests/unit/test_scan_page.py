import base64
import gzip
import re

import fake_predictions as fake
import nibabel as nib
import numpy as np
import pytest
from html_page import Page

from decoupled_qc.report import bands, viewer, wording
from decoupled_qc.report.scan_page import write_scan_page
from decoupled_qc.report.volumes import enlarge, pack, read_volume, shrink

NASTY = '<script>alert(1)<&script> "it\'s" & more'


@pytest.fixture
def script(tmp_path, monkeypatch):
    """A stand-in for the viewer's script, so that no test needs a network."""
    path = tmp_path / "viewer.js"
    path.write_text("var niivue;")
    monkeypatch.setattr(viewer, "SCRIPT", path)
    return path


def page_of(out, **changes):
    image = fake.write_head(out.parent / "head.nii.gz")
    row = fake.row(changes.pop("scan", "sub-01"), changes.pop("decision", "review"), **changes)
    maps = fake.write_maps(out, row, image)
    return Page(write_scan_page(out, row, read_volume(image), maps, fake.reference()))


def volume(shape=(24, 30, 20), spacing=(1.0, 1.0, 2.0)):
    rng = np.random.default_rng(0)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -10, -20, 5
    return nib.Nifti1Image(rng.random(shape, dtype=np.float32), affine)


def test_verdict_stands_first_in_words(tmp_path, script):
    page = page_of(
        tmp_path / "out", predicted_dice=0.712, predicted_dice_low=0.62, predicted_dice_high=0.8, cause="motion"
    )
    sentence = "Review: predicted grey-matter Dice 0.71 (0.62 to 0.80); most likely cause: motion"
    assert sentence + " (right for 83 % of the 40 validation scans so named, of 60 subjects)." in page.text
    assert page.text.index(sentence) < page.text.index("Grey-matter volume")


def test_verdict_without_cause_interval_or_accuracy():
    row = {"decision": "pass", "predicted_dice": "0.9", "cause": "none"}
    assert wording.verdict(row) == "Pass: predicted grey-matter Dice 0.90; no artefact stands out."
    row = {"decision": "pass", "predicted_dice": "0.9", "cause": "motion"}
    assert wording.verdict(row) == "Pass: predicted grey-matter Dice 0.90; most likely artefact, if any: motion."
    row = {"decision": "fail", "predicted_dice": 0.3, "cause": "blur", "cause_accuracy": float("nan")}
    assert wording.verdict(row) == "Fail: predicted grey-matter Dice 0.30; most likely cause: blur."


@pytest.mark.parametrize(
    "value, digits, text", [("0.0123456", -3, "0.0123"), (-1.26, 1, "−1.3"), ("", 2, "–"), (float("inf"), 2, "–")]
)
def test_numbers_for_people(value, digits, text):
    assert wording.number(value, digits) == text


@pytest.mark.parametrize(
    "written, truth", [("True", True), (True, True), ("false", False), ("", False), (np.True_, True)]
)
def test_truth_as_a_table_writes_it(written, truth):
    assert wording.as_bool(written) is truth


def test_unlike_the_training_data_is_said_with_its_reason(tmp_path, script):
    page = page_of(tmp_path / "out", unlike_training="True", unlike_reason="Voxels of 6 mm.")
    assert "Unlike the training data: Voxels of 6 mm." in page.text
    assert "Unlike the training data" not in page_of(tmp_path / "other").text


def test_a_name_never_becomes_markup(tmp_path, script):
    page = page_of(tmp_path / "out", scan=NASTY, folder="sub", input=f"/data/{NASTY}.nii.gz", unlike_training=True,
                   unlike_reason=NASTY)  # fmt: skip
    assert NASTY in page.text
    assert "<script>alert" not in page.source
    assert len(page.all("script")) == 3 and page.source.count("</script>") == 3
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]


def test_page_asks_for_nothing_but_the_viewer_beside_it(tmp_path, script):
    out = tmp_path / "out"
    page = page_of(out, folder="sub-01/anat")
    asked = [a[key] for _, a in page.tags for key in ("src", "href") if key in a and not a[key].startswith("data:")]
    assert asked == ["../../index.html", f"../../assets/niivue-{viewer.VERSION}.js"]
    assert (out / "sub-01/anat" / asked[1]).resolve().read_text() == script.read_text()
    assert not re.search(r"https?://|@import|url\(", page.source)


def test_without_the_viewer_there_are_still_pictures_and_a_sentence(tmp_path, script):
    script.unlink()
    page = page_of(tmp_path / "out")
    assert not page.all("script") and not (tmp_path / "out/assets").exists()
    assert "The 3D viewer was not there when this page was made" in page.text
    assert len(page.all("img")) == 2 and all(len(picture["alt"]) > 20 for picture in page.all("img"))


def test_every_control_has_a_label_and_the_page_a_language(tmp_path, script):
    page = page_of(tmp_path / "out")
    assert page.all("html") == [{"lang": "en"}]
    labels = len(page.all("label"))
    assert labels == len(page.all("input")) + len(page.all("select"))
    assert all(svg["aria-label"] for svg in page.all("svg"))


def test_pictures_show_a_scan_from_its_lowest_intensity_on(tmp_path, script):
    page = page_of(tmp_path / "out")
    folder, head = tmp_path / "out" / "sub-01", nib.load(tmp_path / "head.nii.gz")
    shifted = nib.Nifti1Image(head.get_fdata(dtype=np.float32) - 1000, head.affine)  # all below zero
    row = fake.row("sub-01", "review")
    maps = fake.write_maps(tmp_path / "out", row, tmp_path / "head.nii.gz")
    write_scan_page(tmp_path / "out", row, shifted, maps, fake.reference())
    again = Page(folder / "sub-01.html")
    assert [one["src"] for one in again.all("img")] == [one["src"] for one in page.all("img")]


def test_embedded_maps_are_the_maps(tmp_path, script):
    page = page_of(tmp_path / "out")
    maps = {found["name"]: found for found in page.json["maps"]}
    assert list(maps) == ["total", *fake.ARTEFACTS, "task"]
    for name, found in maps.items():
        there = nib.load(tmp_path / f"out/sub-01/sub-01_desc-{name}_variance.nii.gz")
        packed = nib.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(found["data"])))
        np.testing.assert_allclose(packed.affine, there.affine, atol=1e-5)
        expected = np.minimum(there.get_fdata(), found["top"])
        np.testing.assert_allclose(packed.get_fdata(), expected, atol=found["top"] / 255)
        highest = nib.affines.apply_affine(np.linalg.inv(there.affine), found["peak_mm"]).round().astype(int)
        assert there.get_fdata()[tuple(highest)] == there.get_fdata().max()
    assert len({maps[name]["top"] for name in ("total", *fake.ARTEFACTS)}) == 1


def test_maps_of_a_clean_scan_are_dimmer_than_those_of_a_bad_one():
    reference = fake.reference()
    most = max(reference["clean"]["artefact_uncertainty"])
    assert bands.dimming({"artefact_uncertainty": most / 4}, reference) == pytest.approx(4)
    assert bands.dimming({"artefact_uncertainty": most * 4}, reference) == 1


def test_percentile_is_the_share_of_lower_reference_values():
    reference = fake.reference()
    reference["clean"] = {"artefact_uncertainty": [1.0, 2.0, 3.0, 4.0], "unknown": [1.0]}
    (score,) = bands.score_rows({"artefact_uncertainty": "3.5", "unknown": ""}, reference)
    assert (score["percentile"], score["n"], score["median"]) == (75, 4, "2.5")


def test_strips_stand_in_the_order_of_their_values():
    drawn = str(bands.strips({"low": [1.0, 1.1, 1.2], "high": [100.0, 110.0, 120.0]}, 500.0, title="a <b>"))
    medians = [float(x) for x in re.findall(r'class="median" x1="([\d.]+)"', drawn)]
    (here,) = (float(x) for x in re.findall(r'class="here" x1="([\d.]+)"', drawn))
    assert bands.LEFT <= medians[0] < medians[1] < here <= bands.WIDTH - bands.RIGHT
    assert "a &lt;b&gt;" in drawn and "low (n = 3)" in drawn


def test_the_strips_of_the_cause_come_first_and_open():
    row = fake.row("x", "fail", cause="wrap")
    found = bands.severity_strips(row, fake.reference())
    assert found[0]["artefact"] == "wrap" and [strip["open"] for strip in found] == [True, False, False, False, False]


def test_shrinking_keeps_mean_and_place():
    file = volume()
    small = shrink(file, 1500)
    assert np.prod(small.shape) <= 1800
    spacing = nib.affines.voxel_sizes(small.affine)
    assert spacing.max() / spacing.min() < 1.2
    assert small.get_fdata().mean() == pytest.approx(file.get_fdata().mean(), abs=0.02)
    for corner in (-0.5, None):  # the same box in the scanner
        old = [-0.5] * 3 if corner else np.array(file.shape) - 0.5
        new = [-0.5] * 3 if corner else np.array(small.shape) - 0.5
        here, there = nib.affines.apply_affine(file.affine, old), nib.affines.apply_affine(small.affine, new)
        np.testing.assert_allclose(here, there, atol=1e-4)


def test_a_small_volume_is_not_resampled():
    file = volume()
    np.testing.assert_array_equal(shrink(file, 10**6).get_fdata(), file.get_fdata())


def test_enlarging_a_ramp_keeps_it_a_ramp_in_millimetres():
    ramp = nib.Nifti1Image(np.arange(8, dtype=np.float32)[:, None, None] * np.ones((1, 4, 4), np.float32), np.eye(4))
    fine = enlarge(ramp, (32, 4, 4))
    x_mm = nib.affines.apply_affine(fine.affine, np.stack([np.arange(32), *np.zeros((2, 32))], axis=1))[:, 0]
    np.testing.assert_allclose(fine.get_fdata()[4:28, 0, 0], x_mm[4:28], atol=1e-5)


def test_reading_turns_axes_and_drops_what_is_no_number(tmp_path):
    values = np.zeros((4, 5, 6, 1), np.float32)
    values[0, 0, 0] = np.nan
    values[1, 2, 3] = 7
    affine = np.diag([-1.0, 1, 1, 1])  # first axis to the left
    nib.save(nib.Nifti1Image(values, affine), tmp_path / "a.nii.gz")
    file = read_volume(tmp_path / "a.nii.gz")
    assert nib.aff2axcodes(file.affine) == ("R", "A", "S")
    assert file.get_fdata()[2, 2, 3] == 7 and file.get_fdata().sum() == 7


def test_packing_is_small_and_always_the_same():
    file = volume((40, 40, 40))
    assert pack(file, 0, 1) == pack(file, 0, 1)
    assert len(pack(file, 0, 1)) < 1.4 * 40**3  # 8 bits a voxel, in base64, even of noise
