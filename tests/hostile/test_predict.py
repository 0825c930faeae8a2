"""`decoupled-qc predict` on any bytes as a scan or as a model, and with a worker that dies: a row, or one sentence."""

import contextlib
import io
import json
import shutil
import struct
import sys
from pathlib import Path

import corpus
import dying
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tally import assert_clear, case, left_in, search

from decoupled_qc import cli
from decoupled_qc.apply import predict
from decoupled_qc.apply.folder import open_model
from decoupled_qc.apply.inputs import Input
from decoupled_qc.apply.predictor import Predictor
from decoupled_qc.apply.space import to_model_grid, to_native
from decoupled_qc.errors import InputError
from decoupled_qc.files import sha256_of
from decoupled_qc.scans import read_scan

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from tiny_model import ARTEFACTS, write_tiny_model  # noqa: E402

MM = 10.0  # of the model's grid: the work on what is taken is small
MAPS = ["gm_probseg", "gm_dseg", *(f"{cause}_variance" for cause in ("task", *ARTEFACTS, "total"))]
WRONG = [None, True, "x", "", -1, 0, 7, 2**31, 10**400, 1e300, -1e300, float("nan"), [], [0], ["a"], {}, {"a": 1}]
LENGTHS = [0, 1, 7, 2**20, 2**40, 2**63, 2**64 - 1]  # of a header of safetensors
ENTRY = {
    "dtype": ["F16", "F64", "I32", "U8", "F8_E4M3", "x", None, 1],
    "shape": [[], [1], [-1], [2**40, 2**40], "x", None],
    "data_offsets": [[0, 0], [8, 4], [-4, 0], [0, 2**62], [0], None],
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("model") / "good", MM)


@pytest.fixture(scope="module")
def predictor(model):
    return Predictor(open_model(model))


def told(*arguments):
    """Return the exit code and all that is printed."""
    printed, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(errors):
        code = cli.main(["predict", *map(str, arguments)])
    assert "Traceback" not in printed.getvalue() + errors.getvalue()
    return code, printed.getvalue(), errors.getvalue()


def assert_right(scan, folder, row, predictor):
    """Every map lies on the scan's grid, holds what the model says there, and agrees with the others and with the row."""
    grid, read = nib.load(scan), read_scan(scan)
    said, _ = predictor.measured(read)
    image, affine = to_model_grid(read, MM)
    seen = to_native(torch.ones(image.shape), affine, read) > 0  # where the model's grid reaches, the head and a margin
    maps = {}
    for name in MAPS:
        file = nib.load(folder / f"scan_desc-{name}.nii.gz")
        assert file.shape == grid.shape[:3] and np.allclose(file.affine, grid.affine, rtol=1e-4, atol=1e-3), name
        maps[name] = file.get_fdata()
        np.testing.assert_allclose(maps[name], said[name], rtol=1e-5, atol=1e-9, err_msg=name)
        assert np.isfinite(maps[name]).all() and maps[name].min() >= 0, name
        assert not maps[name][~seen].any() and (maps[name][seen].all() or not name.endswith("variance")), name
    assert seen.any() and 0 < maps["gm_probseg"].max() <= 1
    assert np.array_equal(maps["gm_dseg"], maps["gm_probseg"] > 0.5)
    total = sum(maps[f"{name}_variance"] for name in ARTEFACTS)
    np.testing.assert_allclose(maps["total_variance"], total, rtol=1e-5)
    assert_agrees(row, maps["gm_dseg"].sum() * abs(np.linalg.det(grid.affine[:3, :3])) / 1000)


def assert_agrees(row, volume_ml):
    """The numbers of a row agree with the volume of the label, and with each other."""
    volume, low, high = (row[f"gm_volume_{name}"] for name in ("ml", "low_ml", "high_ml"))
    assert volume == pytest.approx(volume_ml, rel=1e-4) and 0 <= low <= volume <= high
    own = [row[f"uncertainty_{name}"] for name in ARTEFACTS]
    assert min(*own, row["task_uncertainty"]) > 0 and row["artefact_uncertainty"] == pytest.approx(sum(own), rel=1e-4)
    assert 0 <= row["predicted_dice_low"] <= row["predicted_dice"] <= row["predicted_dice_high"] <= 1
    assert all(0 <= value <= 100 for name, value in row.items() if name.startswith("percentile_"))
    assert row["cause"] in ("none", *ARTEFACTS) and bool(row["unlike_reason"]) == row["unlike_training"]


@search(25)
@given(image=corpus.images(sides=(1, 5, 8, 9, 12), sizes_mm=(-8.0, 9.0, 10.0)))
def test_any_bytes_are_a_row_with_the_reason_or_maps_on_their_own_grid(tmp_path_factory, model, predictor, image):
    folder = tmp_path_factory.getbasetemp() / "predict"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    scan, out = folder / f"scan{image[0]}", folder / "out"
    scan.write_bytes(image[1])
    with case("images: predict"):
        code, printed, _ = told(scan, "-o", out, "--model", model, "--no-pages")
        (row,) = pd.read_csv(out / "predictions.csv", keep_default_na=False).to_dict("records")
        assert not [name for name in left_in(out) if name.startswith(".partial")]
        if row["status"] == "ok":
            assert code == 0 and row["decision"] in ("pass", "review", "fail")
            assert not (row["unlike_training"] and row["decision"] == "pass")
            assert_right(scan, out / "scan", row, predictor)
        else:
            assert code == 2 and row["error"] in printed and not (out / "scan").exists()
            assert_clear(row["error"], scan)


def keys(block, place=()):
    """Yield where each key of a JSON object lies."""
    for key, value in block.items():
        yield (*place, key)
        if isinstance(value, dict):
            yield from keys(value, (*place, key))


def changed_block(draw, block):
    """Change or remove a key of a JSON object somewhere."""
    *place, key = draw(st.sampled_from(sorted(keys(block))))
    for name in place:
        block = block[name]
    if draw(st.integers(0, 4)):
        block[key] = draw(st.sampled_from(WRONG))
    else:
        del block[key]


@st.composite
def changed_bytes(draw, body):
    """Cut bytes, or change one."""
    place = draw(st.integers(0, len(body) - 1))
    return body[:place] + (bytes([draw(st.integers(0, 255))]) + body[place + 1 :]) * draw(st.integers(0, 1))


@st.composite
def changed_weights(draw, weights):
    """The bytes of a safetensors file whose header lies."""
    (length,) = struct.unpack_from("<Q", weights)
    header, data = weights[8 : 8 + length], weights[8 + length :]
    kind = draw(st.sampled_from(["entry", "entry", "bytes", "length", "name"]))
    if kind == "length":
        length = draw(st.sampled_from([*LENGTHS, length - 1, length + 1]))
        return struct.pack("<Q", length) + header + data
    if kind == "bytes":
        header = draw(changed_bytes(header))
    else:
        entries = json.loads(header)
        name = draw(st.sampled_from(sorted(set(entries) - {"__metadata__"})))
        if kind == "name":
            entries[draw(st.sampled_from(["../evil", "", "x" * 1000, "__metadata__"]))] = entries.pop(name)
        else:
            key = draw(st.sampled_from(sorted(ENTRY)))
            entries[name][key] = draw(st.sampled_from(ENTRY[key]))
        header = json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header + data


@search(60)
@given(data=st.data())
def test_any_model_json_and_header_of_weights_is_refused_or_a_model(tmp_path_factory, model, data):
    folder = tmp_path_factory.getbasetemp() / "stranger"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(model, folder)
    card, reference = (json.loads((folder / name).read_text()) for name in ("model.json", "reference.json"))
    if data.draw(st.booleans()):
        (folder / "weights.safetensors").write_bytes(
            data.draw(changed_weights((model / "weights.safetensors").read_bytes()))
        )
        card["sha256"] = reference["sha256"] = sha256_of(folder / "weights.safetensors")  # a stranger's hash is right
    else:
        changed_block(data.draw, card)
    text = json.dumps(card).encode()
    (folder / "model.json").write_bytes(text if data.draw(st.integers(0, 4)) else data.draw(changed_bytes(text)))
    (folder / "reference.json").write_text(json.dumps(reference))
    with case("models: bytes"):
        try:
            network = open_model(folder).network
        except InputError as error:
            assert_clear(str(error), folder)
        else:
            logits, log_variance = network(torch.zeros(1, 1, 16, 16, 16))
            assert logits.shape == (1, 2, 16, 16, 16) and log_variance.shape == (1, 1 + len(ARTEFACTS), 16, 16, 16)


def test_a_worker_that_is_killed_ends_the_call_with_a_sentence_and_the_same_command_goes_on(
    tmp_path, model, monkeypatch
):
    rng = np.random.default_rng(0)
    names = ("one", dying.DEADLY, "two")
    scans = [tmp_path / f"{name}.nii" for name in names]
    for scan in scans:
        nib.save(nib.Nifti1Image(rng.uniform(0, 100, (9, 10, 11)).astype(np.float32), np.diag([8, 8, 8, 1])), scan)
    arguments = [*scans, "-o", tmp_path / "out", "--model", model, "--no-pages", "--jobs"]
    with case("predict: killed worker"):
        monkeypatch.setattr(predict, "_work", dying.work)
        code, _, errors = told(*arguments, 2)
        advice = "A worker was killed, perhaps for lack of memory: give the same command again with fewer --jobs."
        assert code == 3 and errors.endswith(f"decoupled-qc: {advice}\n")
        assert not list((tmp_path / "out").rglob(f"*{dying.DEADLY}*summary*"))
        monkeypatch.undo()
        assert told(*arguments, 1)[0] == 0
        table = pd.read_csv(tmp_path / "out" / "predictions.csv").set_index("scan")
        assert sorted(table.index) == sorted(names) and set(table["status"]) == {"ok"}


def test_a_run_of_several_jobs_that_ends_early_begins_no_more_scans(tmp_path, model, monkeypatch):
    monkeypatch.setattr(predict, "_work", dying.take_a_while)
    inputs = [Input(tmp_path / f"{n}.nii", f"{n}", f"{n}") for n in range(20)]
    (tmp_path / "out").mkdir()
    results = predict._each(inputs, tmp_path / "out", open_model(model), jobs=2, pages=False, build="")
    next(results)
    results.close()  # as Ctrl-C or a full disk does
    assert len(list((tmp_path / "out").iterdir())) < 10
