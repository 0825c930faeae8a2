"""What `decoupled-qc predict` says of a scan, and that a scan's form does not matter."""

import json
import re
import sys
from functools import partial

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from apply_command import MM, OBLIQUE, predict, volume, write
from tiny_model import ARTEFACTS, write_tiny_model
from tqdm import tqdm

import decoupled_qc
from decoupled_qc.apply import predictor
from decoupled_qc.cli import main
from decoupled_qc.errors import InputError
from decoupled_qc.scans import read_scan

MAPS = ["gm_probseg", "gm_dseg", "task_variance", *(f"{name}_variance" for name in ARTEFACTS), "total_variance"]


def test_maps_lie_in_the_scans_own_grid_and_the_total_is_that_of_artefacts(scan, model, tmp_path):
    code, table = predict(tmp_path / "out", model, scan)
    assert code == 0 and list(table.index) == ["sub-01"]
    folder = tmp_path / "out" / table.loc["sub-01", "folder"]
    assert folder == tmp_path / "out" / "sub-01" / "anat"
    maps = {name: nib.load(folder / f"sub-01_desc-{name}.nii.gz") for name in MAPS}
    for file in maps.values():
        assert file.shape == nib.load(scan).shape and np.allclose(file.affine, OBLIQUE, atol=1e-5)
    values = {name: file.get_fdata() for name, file in maps.items()}
    assert maps["gm_dseg"].get_data_dtype() == np.uint8 and maps["gm_probseg"].get_data_dtype() == np.float32
    assert values["gm_probseg"].min() >= 0 and values["gm_probseg"].max() <= 1
    assert np.array_equal(values["gm_dseg"], values["gm_probseg"] > 0.5)
    assert np.allclose(values["total_variance"], sum(values[f"{name}_variance"] for name in ARTEFACTS), rtol=1e-5)
    row = table.loc["sub-01"]
    assert row["gm_volume_ml"] == pytest.approx(values["gm_dseg"].sum() * MM**3 / 1000, rel=1e-5)
    assert row["artefact_uncertainty"] == pytest.approx(sum(row[f"uncertainty_{name}"] for name in ARTEFACTS), rel=1e-5)
    summary = json.loads((folder / "sub-01_desc-summary.json").read_text())
    for name in ARTEFACTS:
        for band, found in summary["percentiles"][name].items():
            assert row[f"percentile_{name}_{band}"] == pytest.approx(found)
    assert row["cause_accuracy_subjects"] == summary["row"]["cause_accuracy_subjects"] == 12
    assert summary["Sources"] == [str(scan)] and summary["model"]["sha256"] in (model / "model.json").read_text()
    assert json.loads((tmp_path / "out" / "dataset_description.json").read_text())["DatasetType"] == "derivative"


def test_every_map_is_described(scan, model, tmp_path):
    predict(tmp_path / "out", model, scan)
    written = {path.name.removeprefix("sub-01_").removesuffix(".nii.gz") for path in tmp_path.glob("out/**/*.nii.gz")}
    assert written == {f"desc-{name}" for name in MAPS}
    told = [json.loads((tmp_path / "out" / f"{name}.json").read_text())["Description"] for name in sorted(written)]
    assert all(told) and len(set(told)) == len(MAPS)


@pytest.mark.parametrize(("there", "device"), [(True, "cuda"), (False, "cpu")])
def test_the_gpu_is_taken_if_there_is_one(there, device, model, monkeypatch):
    placed = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(predictor.Predictor, "_place", lambda self: placed.append(self.device))
    predictor.Predictor(decoupled_qc.apply.folder.open_model(model))
    assert placed == [torch.device(device)]


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_and_the_time_left_are_shown_at_a_terminal_alone(terminal, scan, model, tmp_path, monkeypatch, capsys):
    other = write(tmp_path / "sub-02_T1w.nii.gz", np.roll(volume(), 1, axis=0))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr("decoupled_qc.apply.predict.tqdm", partial(tqdm, mininterval=0))  # however fast the machine is
    predict(tmp_path / "out", model, scan, other)
    shown = capsys.readouterr().err
    bar = re.search(r"scans: +50%.* 1/2 \[[0-9:]+<[0-9:]+, .*\].*scans: +100%.* 2/2 \[", shown, re.DOTALL)
    assert bool(bar) == terminal and ("scans:" in shown) == terminal


def test_python_and_the_command_line_say_the_same_of_files_images_and_arrays(scan, model, tmp_path):
    _, table = predict(tmp_path / "out", model, scan)
    file = nib.load(scan)
    found = [
        decoupled_qc.predict(scan, model=model),
        decoupled_qc.predict(file, model=model),
        decoupled_qc.predict(np.asarray(file.dataobj), affine=file.affine, model=model),
    ]
    saved = nib.load(tmp_path / "out" / "sub-01" / "anat" / "sub-01_desc-noise_variance.nii.gz").get_fdata()
    for result in found:
        assert np.array_equal(result.maps["noise_variance"].get_fdata(), saved)
        for name in ("gm_volume_ml", "artefact_uncertainty", "predicted_dice", "snr"):
            assert result.row[name] == pytest.approx(float(table.loc["sub-01", name]), rel=1e-5)
    with pytest.raises(decoupled_qc.errors.InputError, match="An array needs its affine"):
        decoupled_qc.predict(np.zeros((9, 9, 9)), model=model)


def reoriented(values, codes):
    turn = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("LAS"), nib.orientations.axcodes2ornt(codes))
    return nib.Nifti1Image(values, np.diag([-MM, MM, MM, 1])).as_reoriented(turn)


@pytest.mark.parametrize(
    "suffix, codes, kind", [(".nii", "PIR", np.float32), (".mgz", "LAS", np.int16), (".nii.gz", "SRA", np.int16)]
)
def test_orientation_format_and_data_type_do_not_matter(model, tmp_path, suffix, codes, kind):
    values = np.rint(volume() * 4).astype(np.float32)
    plain = decoupled_qc.predict(values, affine=np.diag([-MM, MM, MM, 1]), model=model)
    turned = reoriented(values, codes)
    path = write(tmp_path / f"turned{suffix}", np.asarray(turned.dataobj).astype(kind), turned.affine)
    other = decoupled_qc.predict(path, model=model)
    back = nib.as_closest_canonical(other.maps["gm_probseg"]).get_fdata()
    assert np.allclose(back, nib.as_closest_canonical(plain.maps["gm_probseg"]).get_fdata(), atol=1e-4)
    for name in ("gm_volume_ml", "artefact_uncertainty", "snr", "cnr"):
        assert other.row[name] == pytest.approx(plain.row[name], rel=1e-3), name


def test_gain_offset_and_empty_space_around_do_not_matter(model):
    values, affine = volume(), np.diag([MM, MM, MM, 1])
    plain = decoupled_qc.predict(values, affine=affine, model=model)
    more = np.pad(values, [(8, 3), (0, 10), (5, 5)]) * 0.37 - 40
    moved = nib.affines.from_matvec(affine[:3, :3], affine[:3, :3] @ [-8, 0, -5])
    other = decoupled_qc.predict(more, affine=moved, model=model)
    inside = other.maps["gm_probseg"].get_fdata()[8:-3, :-10, 5:-5]
    assert np.abs(inside - plain.maps["gm_probseg"].get_fdata()).mean() < 0.02
    assert other.row["artefact_uncertainty"] == pytest.approx(plain.row["artefact_uncertainty"], rel=0.02)


def test_volume_on_a_sheared_grid_counts_what_its_voxels_hold(model):
    affine = np.diag([MM, MM, MM, 1.0])
    affine[0, 1] = MM * np.tan(np.radians(30))
    found = decoupled_qc.predict(volume(), affine=affine, model=model)
    label = np.asarray(found.maps["gm_dseg"].dataobj)
    assert label.sum() > 0 and found.row["gm_volume_ml"] == pytest.approx(label.sum() * MM**3 / 1000, rel=1e-6)


def test_an_affine_of_another_shape_is_told(model):
    with pytest.raises(InputError, match=r"The affine has shape \(3, 3\): give \(4, 4\)"):
        decoupled_qc.predict(volume(), affine=np.eye(3), model=model)


@pytest.mark.parametrize(
    ("decision", "dice", "ratio", "codes"),
    [
        ("fail", 0.2, 0.05, {"fail": 4, "review": 4}),
        ("review", 0.75, 0.5, {"fail": 0, "review": 4}),
        ("pass", 0.95, 0.05, {"fail": 0, "review": 0}),
    ],
)
def test_low_quality_is_a_result_unless_asked_and_counts_less_than_a_scan_that_cannot_be_used(
    model, tmp_path, decision, dice, ratio, codes
):
    """By a reference that gives every scan this Dice, an interval that wide, and nothing to be unlike."""
    scan = write(tmp_path / "scan.nii", volume(), np.diag([3.0, 3.0, 3.0, 1.0]))
    reference = json.loads((model / "reference.json").read_text())
    reference["dice_model"] |= {"weights": [0.0] * 3, "offset": dice, "ratio": ratio}
    reference |= {"input_ranges": {}, "kind_model": None}
    changed = write_tiny_model(tmp_path / "changed", MM)
    (changed / "reference.json").write_text(json.dumps(reference))
    absent, rest = tmp_path / "absent.nii", ["-o", str(tmp_path / "out"), "--model", str(changed), "--no-pages"]
    assert main(["predict", str(scan), *rest]) == 0
    assert pd.read_csv(tmp_path / "out" / "predictions.csv")["decision"].tolist() == [decision]
    for asked, code in codes.items():
        assert main(["predict", str(scan), *rest, "--fail-on", asked]) == code
        assert main(["predict", str(scan), str(absent), *rest, "--fail-on", asked]) == 2


def test_a_gpu_without_memory_hands_over_to_the_cpu(scan, model, monkeypatch):
    plain, calls = predictor.infer, []

    def full(network, image, **settings):
        calls.append(1)
        if len(calls) == 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return plain(network, image, **settings)

    monkeypatch.setattr(predictor, "infer", full)
    one = predictor.Predictor(decoupled_qc.apply.folder.open_model(model))
    one.device = "the GPU"
    assert one(read_scan(scan)).row["gm_volume_ml"] >= 0 and len(calls) == 2 and one.device == torch.device("cpu")


@pytest.mark.slow
def test_several_jobs_give_the_same_results(model, tmp_path):
    scans = [write(tmp_path / f"{i}.nii", np.roll(volume(), i, axis=0)) for i in range(3)]
    _, one = predict(tmp_path / "one", model, *scans)
    code, two = predict(tmp_path / "two", model, *scans, more=("--jobs", "2", "--no-pages"))
    assert code == 0
    one, two = (table.drop(columns="seconds") for table in (one, two.loc[one.index]))
    pd.testing.assert_frame_equal(
        one, two, rtol=1e-5
    )  # each job has a thread less, which changes the last bits of sums
