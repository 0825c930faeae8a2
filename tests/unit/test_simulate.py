import json

import nibabel as nib
import numpy as np
import pytest
from phantom import ROOT, head

from decoupled_qc import artefacts
from decoupled_qc.cli import main
from decoupled_qc.settings import artefact_settings

OBLIQUE = nib.affines.from_matvec(
    nib.eulerangles.euler2mat(0.1, -0.2, 0.3) @ np.diag([-1.0, 1.5, 2.0]), [12.0, -34.0, 56.0]
)


def write(path, values, affine=OBLIQUE, **header):
    file = nib.Nifti1Image(values, affine)
    file.set_data_dtype(values.dtype)
    for key, value in header.items():
        file.header[key] = value
    nib.save(file, path)
    return path


@pytest.fixture
def scan(tmp_path):
    values = (head((20, 25, 22)).numpy() * 900 - 30).astype(np.int16)
    return write(tmp_path / "sub-1_T1w.nii.gz", values, descrip=b"as acquired", qform_code=1, sform_code=2)


def simulate(scan, out, *more):
    return main(["simulate", str(scan), "--out", str(out), *more])


def test_the_scan_keeps_its_grid_header_type_and_range(scan, tmp_path):
    out = tmp_path / "bad.nii.gz"
    assert simulate(scan, out, "--artefact", "noise", "--severity", "0.6") == 0
    before, after = nib.load(scan), nib.load(out)
    assert np.array_equal(after.affine, before.affine)
    assert after.get_data_dtype() == np.int16
    for field in ("descrip", "qform_code", "sform_code", "pixdim", "dim"):
        assert np.array_equal(after.header[field], before.header[field]), field
    was, is_now = (np.asanyarray(file.dataobj) for file in (before, after))
    assert (is_now.min(), is_now.max()) == (was.min(), was.max())
    assert 0.5 < np.corrcoef(was.ravel(), is_now.ravel())[0, 1] < 0.999


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_other_types(tmp_path, dtype):
    scan = write(tmp_path / "scan.nii", (head((16, 16, 16)).numpy() * 200).astype(dtype))
    assert simulate(scan, tmp_path / "out.nii", "--artefact", "blur") == 0
    out = nib.load(tmp_path / "out.nii")
    assert out.get_data_dtype() == (np.uint8 if dtype == np.uint8 else np.float32)
    assert out.get_fdata().max() == pytest.approx(nib.load(scan).get_fdata().max(), rel=1e-6)


@pytest.mark.parametrize("slope, inter", [(0.001, 0.0), (4.0, 0.0), (1.0, -1024.0), (0.5, 100.0)])
def test_whole_numbers_with_a_scale_factor_keep_their_intensities(tmp_path, slope, inter):
    """Neither rounded to whole intensities nor wrapped around beyond the type's largest number."""
    stored = (head((20, 25, 22)).numpy() * 30000 - 2000).astype(np.int16)
    scan = write(tmp_path / "scan.nii.gz", stored, scl_slope=slope, scl_inter=inter)
    before = nib.load(scan).get_fdata()
    assert np.allclose(before, slope * stored + inter, rtol=1e-6)
    for severity in ("0", "0.3"):
        out = tmp_path / f"out-{severity}.nii.gz"
        assert simulate(scan, out, "--artefact", "noise", "--severity", severity) == 0
        found = nib.load(out).get_fdata()
        assert (found.min(), found.max()) == pytest.approx((before.min(), before.max()), rel=1e-6)
        if severity == "0":
            assert np.abs(found - before).max() < 1e-6 * np.ptp(before)
        else:
            assert len(np.unique(found)) > 5000 and 0.5 < np.corrcoef(before.ravel(), found.ravel())[0, 1] < 0.999


def test_severity_zero_gives_the_same_voxels(scan, tmp_path):
    assert simulate(scan, tmp_path / "same.nii.gz", "--artefact", "motion", "--severity", "0") == 0
    assert np.array_equal(nib.load(tmp_path / "same.nii.gz").dataobj, nib.load(scan).dataobj)


def test_the_record_makes_the_same_scan_again(scan, tmp_path):
    first, again = tmp_path / "first.nii.gz", tmp_path / "again.nii.gz"
    names = ["--artefact", "motion", "--artefact", "spike", "--artefact", "zipper"]
    assert simulate(scan, first, *names, "--severity", "0.7", "--seed", "3", "--local") == 0
    record = json.loads((tmp_path / "first.json").read_text())
    assert [entry["artefact"] for entry in record["records"]] == ["motion", "spike", "zipper"]
    assert record["scan"] == scan.name and all(entry["local"] for entry in record["records"])
    assert record["records"][0]["spacing_mm"] == pytest.approx([1.0, 1.5, 2.0])
    assert record["records"][0]["residual_shift_voxels"] >= 0
    assert simulate(scan, again, "--record", str(tmp_path / "first.json")) == 0
    assert np.array_equal(nib.load(first).dataobj, nib.load(again).dataobj)
    assert json.loads((tmp_path / "again.json").read_text()) == record


@pytest.mark.parametrize("artefact", ["noise", "spike", "zipper", "motion"])
def test_the_record_of_another_scan_is_refused(scan, tmp_path, artefact, capsys):
    assert simulate(scan, tmp_path / "first.nii.gz", "--artefact", artefact) == 0
    values = np.asanyarray(nib.load(scan).dataobj)
    darker = np.where(np.arange(len(values))[:, None, None] > 10, values, values // 2)
    other, again = write(tmp_path / "other.nii.gz", darker), tmp_path / "again.nii.gz"
    assert simulate(other, again, "--record", str(tmp_path / "first.json")) == 2
    message = capsys.readouterr().err
    assert "first.json is of another scan" in message and f"of {artefact} was" in message and message.count("\n") == 1
    assert not again.exists()


def test_the_record_of_a_scan_with_other_voxels_is_refused(scan, tmp_path, capsys):
    assert simulate(scan, tmp_path / "first.nii.gz", "--artefact", "motion") == 0
    values = np.asanyarray(nib.load(scan).dataobj)
    other = write(tmp_path / "other.nii.gz", values, np.diag([1.0, 1.5, 2.5, 1.0]))
    assert simulate(other, tmp_path / "again.nii.gz", "--record", str(tmp_path / "first.json")) == 2
    message = capsys.readouterr().err
    assert "first.json is of another scan" in message and "spacing_mm of motion was" in message


def test_an_artefact_is_the_same_whatever_stands_beside_it(scan, tmp_path):
    for name, more in {"alone": [], "both": ["--artefact", "blur"]}.items():
        assert simulate(scan, tmp_path / f"{name}.nii.gz", *more, "--artefact", "spike") == 0
    alone, both = (json.loads((tmp_path / f"{name}.json").read_text())["records"][-1] for name in ("alone", "both"))
    assert alone == both


@pytest.mark.parametrize("artefact", artefacts.available())
def test_where_the_header_puts_the_head_does_not_matter(tmp_path, artefact):
    """Voxel sizes do, origin, flips and obliquity do not: the head turns about its own centre."""
    values = head((16, 20, 18)).numpy()
    outs = []
    for name, affine in {
        "at": np.diag([1.0, 1.5, 2, 1]),
        "far": nib.affines.from_matvec(np.diag([-1.0, 1.5, -2]), [900, -500, 70]),
        "oblique": OBLIQUE,
    }.items():
        scan, out = write(tmp_path / f"{name}.nii", values, affine), tmp_path / f"{name}_out.nii"
        assert simulate(scan, out, "--artefact", artefact, "--severity", "1") == 0
        assert np.array_equal(nib.load(out).affine, nib.load(scan).affine)
        outs.append(nib.load(out).get_fdata())
    assert np.abs(outs[0] - values).max() > 0.05
    assert np.array_equal(outs[0], outs[1])
    assert np.abs(outs[0] - outs[2]).max() < 1e-4  # an oblique affine holds its voxel sizes to seven digits


def test_single_settings_can_be_replaced(scan, tmp_path):
    overlay = tmp_path / "mine.yaml"
    overlay.write_text("artefacts:\n  noise: {snr_db: [5.0, 5.0]}\n")
    assert simulate(scan, tmp_path / "out.nii.gz", "--artefact", "noise", "--config", str(overlay)) == 0
    assert json.loads((tmp_path / "out.json").read_text())["records"][0]["snr_db"] == 5.0


def test_the_mild_preset_of_motion_is_the_default_and_public2020_an_overlay(scan, tmp_path):
    """Of the author's two sets of numbers: 2019, reached at severity 0.5 here, and 2020, at severity 1."""
    mild = artefact_settings()["motion"]
    strong = artefact_settings(ROOT / "config/motion_public2020.yaml")["motion"]
    keys = ("big_angle_sd_deg", "small_angle_sd_deg", "big_shift_sd_mm", "small_shift_sd_mm")
    assert [mild[key][1] / 2 for key in keys] == pytest.approx([5.4, 0.54, 3, 0.3])
    assert [strong[key][1] for key in keys] == [10, 3, 10, 2]
    assert (mild["n_big_mean"], mild["n_small_mean"], mild["time_range"]) == (1, 5, [0.25, 0.75])
    assert (strong["n_big_mean"], strong["n_small_mean"], strong["time_range"]) == (2, 3, [0.3, 0.7])
    angles = []
    for more in ([], ["--config", str(ROOT / "config/motion_public2020.yaml")]):
        assert simulate(scan, tmp_path / "out.nii.gz", "--artefact", "motion", "--severity", "1", *more) == 0
        record = json.loads((tmp_path / "out.json").read_text())["records"][0]
        angles.append(np.abs(record["angles_deg"]).mean())
    assert angles[1] > angles[0]


def test_a_fourth_axis_of_one_volume_is_kept(tmp_path):
    scan = write(tmp_path / "scan.nii.gz", head((16, 16, 16)).numpy()[..., None])
    assert simulate(scan, tmp_path / "out.nii.gz", "--artefact", "wrap") == 0
    assert nib.load(tmp_path / "out.nii.gz").shape == (16, 16, 16, 1)


def test_one_voxel_axes(tmp_path):
    scan = write(tmp_path / "thin.nii.gz", head((24, 24, 24)).numpy()[:, :, 12:13])
    clean = nib.load(scan).get_fdata()
    for name in artefacts.available():
        changes = []
        for seed in range(4):  # where the one voxel lies along the axis drawn, there may be nothing to lose
            more = ("--artefact", name, "--severity", "1", "--seed", str(seed))
            assert simulate(scan, tmp_path / "out.nii.gz", *more) == 0, name
            found = nib.load(tmp_path / "out.nii.gz").get_fdata()
            assert found.shape == clean.shape and np.isfinite(found).all(), name
            assert (found.min(), found.max()) == pytest.approx((clean.min(), clean.max()), abs=1e-6), name
            changes.append(np.abs(found - clean).max())
        assert max(changes) > 0.05, name


def bad_scans(folder):
    volume = head((12, 12, 12)).numpy()
    holed, endless = volume.copy(), volume.copy()
    holed[0, 0, 0], endless[0, :2, 0] = np.nan, np.inf
    whole = write(folder / "whole.nii.gz", volume).read_bytes()
    (folder / "short.nii.gz").write_bytes(whole[: len(whole) // 2])
    (folder / "text.nii.gz").write_text("no image")
    units = nib.Nifti1Image(volume, np.eye(4))
    units.header.set_xyzt_units("micron")
    nib.save(units, folder / "units.nii.gz")
    units.header["xyzt_units"] = 4
    nib.save(units, folder / "unknown_units.nii.gz")
    return {
        folder / "absent.nii.gz": "does not exist",
        folder / "text.nii.gz": "cannot be read",
        folder / "short.nii.gz": "cannot be read",
        folder / "units.nii.gz": "units of a micron",
        folder / "unknown_units.nii.gz": "a code of units, 4, that NIfTI does not know",
        write(folder / "flat.nii.gz", volume[:, :, 0]): "one volume with three axes",
        write(folder / "series.nii.gz", np.stack([volume] * 2, -1)): "one volume with three axes",
        write(folder / "constant.nii.gz", np.full((8, 8, 8), 3.0, np.float32)): "constant",
        write(folder / "holed.nii.gz", holed): "NaN or infinite (1)",
        write(folder / "endless.nii.gz", endless): "NaN or infinite (2)",
        write(folder / "complex.nii.gz", volume.astype(np.complex64)): "real-valued",
    }


def test_scans_that_cannot_be_used_are_named_and_nothing_is_written(tmp_path, capsys):
    out = tmp_path / "results" / "out.nii.gz"
    for path, reason in bad_scans(tmp_path).items():
        assert simulate(path, out, "--artefact", "blur") == 2
        message = capsys.readouterr().err
        assert str(path) in message and reason in message and message.count("\n") == 1, message
    assert not out.parent.exists()


def test_a_scan_too_small_for_its_artefact_is_named(tmp_path, capsys):
    scan = write(tmp_path / "tiny.nii.gz", head((12, 12, 12)).numpy()[5:8, 5:8, 5:8])
    assert simulate(scan, tmp_path / "results" / "out.nii.gz", "--artefact", "spike") == 2
    message = capsys.readouterr().err
    assert str(scan) in message and "too small for a spike" in message and message.count("\n") == 1
    assert not (tmp_path / "results").exists()


def test_requests_that_make_no_sense_are_named(scan, tmp_path, capsys):
    out = tmp_path / "results" / "out.nii.gz"
    for more, reason in [
        ([], "--artefact"),
        (["--artefact", "blur", "--record", "x.json"], "--record"),
        (["--record", "x.json", "--severity", "0.5"], "--severity is for new artefacts"),
        (["--record", "x.json", "--seed", "0"], "--seed is for new artefacts"),
        (["--record", "x.json", "--local"], "--local is for new artefacts"),
        (["--record", "x.json", "--config", "x.yaml"], "--config is for new artefacts"),
        (["--artefact", "blurr"], "no artefact 'blurr'"),
        (
            ["--artefact", "noise", "--artefact", "blur", "--artefact", "noise"],
            "--artefact noise is given more than once",
        ),
        (["--artefact", "blur", "--severity", "1.2"], "outside [0, 1]"),
        (["--record", str(tmp_path / "none.json")], "none.json is not a record"),
        (["--artefact", "blur", "--config", str(tmp_path / "none.yaml")], "none.yaml has no readable block"),
    ]:
        assert simulate(scan, out, *more) == 2
        assert reason in capsys.readouterr().err
    before = scan.read_bytes()
    assert simulate(scan, scan, "--artefact", "blur") == 2
    assert simulate(scan, tmp_path / "out.mgz", "--artefact", "blur") == 2
    assert scan.read_bytes() == before and not out.parent.exists()
