import json
import math
import re
from functools import partial

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from phantom import ROOT, SETTINGS, SPACING_MM, head
from scipy import ndimage

from decoupled_qc import artefacts
from decoupled_qc.artefacts import motion
from decoupled_qc.errors import InputError
from decoupled_qc.scan_table import read_conditions
from decoupled_qc.simulation import conditions, outside
from decoupled_qc.simulation.confined import EDGE_MM
from decoupled_qc.simulation.kspace import central_planes, rescale

SHAPE = (16, 20, 18)
AFFINE = np.diag([-SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
NAMES = ["spike", "noise", "blur", "wrap", "motion"]
# What of motion is off by default.
SWAYING = {"drift_angle_sd_deg": [0, 4], "drift_shift_sd_mm": [0, 3], "breathing_shift_mm": [0, 2]}
# Artefact → the entry of its record that its severity sets, linear between the two numbers of its settings.
STRENGTHS = {
    "bias": "log_span",
    "blur": "ratio",
    "ghosting": "amplitude",
    "noise": "snr_db",
    "spike": "magnitude",
    "zipper": "magnitude",
}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Three test subjects and one for training, with images that are not yet in [0, 1]."""
    folder = tmp_path_factory.mktemp("run") / "cohort"
    folder.mkdir()
    rows = []
    for number, role in enumerate(["test", "train", "test", "test"]):
        subject = f"sub-{number}"
        image = (head(SHAPE).numpy() * (2 + number)).astype(np.float32)
        nib.save(nib.Nifti1Image(image, AFFINE), folder / f"{subject}_T1w.nii.gz")
        nib.save(nib.Nifti1Image((image > 1).astype(np.uint8), AFFINE), folder / f"{subject}_dseg.nii.gz")
        anatomy = "other" if role == "train" else "head"
        rows.append((subject, anatomy, role, f"{subject}_T1w.nii.gz", f"{subject}_dseg.nii.gz", "test"))
    columns = ["subject", "anatomy", "role", "image", "dseg", "label_source"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "manifest.tsv", sep="\t", index=False)
    return folder / "manifest.tsv"


def write(manifest, condition, make, n_subjects=None):
    """Write a condition as a rule does; return its folder and table."""
    folder = manifest.parents[1] / "conditions" / condition
    conditions.write_condition(
        manifest, folder, condition, lambda image, subject, number: make(image, subject), n_subjects
    )
    return folder, pd.read_csv(folder / "scans.tsv", sep="\t")


def simulate(name, **changes):
    arguments = {"spacing_mm": SPACING_MM, "settings": SETTINGS[name], "local_probability": 0.5, "seed": 5}
    return partial(conditions.simulated, name=name, **(arguments | changes))


def clean_image(manifest, subject):
    return torch.from_numpy(nib.load(manifest.parent / f"{subject}_T1w.nii.gz").get_fdata(dtype=np.float32))


def read(folder, row):
    return nib.load(folder / row["image"])


def test_clean_scans_are_the_test_subjects_rescaled(manifest):
    folder, table = write(manifest, "clean", lambda image, subject: conditions.clean(image))
    assert list(table["subject"]) == ["sub-0", "sub-2", "sub-3"]
    assert set(table["artefact"]) == {"none"} and set(table["severity"]) == {0.0}
    for _, row in table.iterrows():
        file = read(folder, row)
        assert np.array_equal(file.affine, AFFINE)
        assert file.get_data_dtype() == np.float32
        assert np.array_equal(file.get_fdata(dtype=np.float32), rescale(clean_image(manifest, row["subject"])))
        assert (folder / row["dseg"]).resolve() == manifest.parent / f"{row['subject']}_dseg.nii.gz"


@pytest.mark.parametrize("name", artefacts.available())
def test_saved_scan_is_made_again_bit_for_bit_from_its_row_after_others_were_made(manifest, name):
    folder, table = write(manifest, f"sim-{name}", simulate(name))
    others = partial(conditions.mixed, mixtures=[artefacts.available()], settings=SETTINGS)
    write(manifest, "others", partial(others, spacing_mm=SPACING_MM, local_probability=0.5, seed=6))
    assert set(table["artefact"]) == {name}
    assert table["severity"].between(0, 1, inclusive="right").all() and table["severity"].nunique() == 3
    for _, row in table.iterrows():
        image = clean_image(manifest, row["subject"])
        saved = read(folder, row).get_fdata(dtype=np.float32)
        assert np.array_equal(saved, conditions.remake(row, image).numpy())
        assert not np.array_equal(saved, rescale(image))
        (record,) = json.loads(row["records"])
        assert record["artefact"] == name and record["severity"] == row["severity"]


def test_the_example_in_the_documentation_makes_a_scan_again(manifest):
    folder, table = write(manifest, "sim-motion", simulate("motion"))
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "config/README.md").read_text(), flags=re.DOTALL)
    names = {}
    exec(example.replace("results/demo", str(manifest.parents[1])), names)
    saved = read(folder, table.iloc[0]).get_fdata(dtype=np.float32)
    assert np.array_equal(saved, names["scan"].numpy())


@pytest.mark.parametrize(("name", "entry"), STRENGTHS.items())
def test_strength_in_a_row_is_that_of_its_severity_by_the_settings(manifest, name, entry):
    _, table = write(manifest, f"sim-{name}", simulate(name))
    weakest, strongest = SETTINGS[name][entry]
    for _, row in table.iterrows():
        (record,) = json.loads(row["records"])
        assert record[entry] == pytest.approx(weakest + (strongest - weakest) * row["severity"])


def whole_scans(manifest, name, **changes):
    """Yield the clean image, the saved scan and the record of scans with an artefact over the whole volume."""
    folder, table = write(manifest, f"whole-{name}", simulate(name, local_probability=0.0, **changes))
    for _, row in table.iterrows():
        (record,) = json.loads(row["records"])
        yield clean_image(manifest, row["subject"]).numpy(), read(folder, row).get_fdata(dtype=np.float32), record


def seen(centred):
    """Return what a scanner shows of centred k-space: the magnitude, [0, 1]."""
    image = np.abs(np.fft.ifftn(np.fft.ifftshift(centred)))
    return (image - image.min()) / np.ptp(image)


def test_noise_of_a_saved_scan_has_the_snr_of_its_record(manifest):
    for image, saved, record in whole_scans(manifest, "noise"):
        noisy = artefacts.load("noise").apply(torch.from_numpy(image), record).numpy()
        assert np.allclose(saved, rescale(torch.from_numpy(np.abs(noisy))), atol=1e-5)
        signal, power = np.square(image).mean(), np.square(np.abs(noisy - image)).mean()
        assert record["signal_power"] == pytest.approx(signal, rel=1e-5)
        assert 10 * np.log10(signal / power) == pytest.approx(record["snr_db"], abs=0.3)


def test_spike_of_a_saved_scan_is_so_many_times_the_largest_sample_at_its_place_of_k_space(manifest):
    for image, saved, record in whole_scans(manifest, "spike"):
        centred = np.fft.fftshift(np.fft.fftn(image))
        largest = np.abs(centred).max()
        assert record["kspace_max"] == pytest.approx(largest, rel=1e-5)
        centred[tuple(record["location"])] += record["magnitude"] * largest * np.exp(1j * record["phase_rad"])
        assert np.allclose(saved, seen(centred), atol=1e-5)


def test_a_blurred_saved_scan_is_that_of_the_share_of_k_space_in_its_record(manifest):
    for image, saved, record in whole_scans(manifest, "blur"):
        centred = np.fft.fftshift(np.fft.fftn(image))
        for axis in record["axes"]:
            n = image.shape[axis]
            kept, twice = max(round(n / record["ratio"]), 1), 2 * (np.arange(n) - n // 2)
            assert 1 <= kept < n
            np.moveaxis(centred, axis, 0)[(twice < -kept) | (twice >= kept)] = 0
        assert np.allclose(saved, seen(centred), atol=1e-5)


@pytest.mark.parametrize("regular", [False, True])
def test_a_wrapped_saved_scan_lacks_the_planes_of_its_record(manifest, regular):
    """How many ghosts that adds, and of what weight, is in test_artefact_properties."""
    settings = SETTINGS["wrap"] | {"regular_probability": float(regular)}
    for image, saved, record in whole_scans(manifest, "wrap", settings=settings):
        n, planes = image.shape[record["axis"]], record["planes"]
        centred = np.fft.fftshift(np.fft.fftn(image))
        np.moveaxis(centred, record["axis"], 0)[planes] = 0
        assert np.allclose(saved, seen(centred), atol=1e-5)
        slight, severe = settings["centre_fraction"]
        share, (weakest, strongest) = record["severity"], settings["fraction"]
        if regular:
            assert record["centre_fraction"] == pytest.approx(slight ** (1 - share) * severe**share)
            block, q = central_planes(n, math.ceil(n * record["centre_fraction"])), record["every"]
            assert planes == [plane for plane in range(planes[0] % q, n, q) if plane not in block]
        else:
            assert record["fraction"] == pytest.approx(weakest + (strongest - weakest) * share)
            assert len(planes) == round(n * record["fraction"]) > 0


def test_moves_and_sway_of_a_sweep_of_motion_are_proportional_to_the_severity(manifest):
    """Millimetres and degrees; when it moves, and how fast it breathes, stays."""
    severities, settings = [0.25, 0.5, 1.0], SETTINGS["motion"] | SWAYING
    chosen = {"name": "motion", "severities": severities, "spacing_mm": SPACING_MM, "settings": settings, "seed": 5}
    folder, table = write(manifest, "sweep-motion", partial(conditions.sweep, **chosen), n_subjects=1)
    records = [json.loads(told)[0] for told in table["records"]]
    strongest = records[-1]
    for severity, record, (_, row) in zip(severities, records, table.iterrows(), strict=True):
        for entry in ("angles_deg", "shifts_mm", "drift_angle_deg", "drift_shift_mm", "breathing_shift_mm"):
            assert np.abs(strongest[entry]).max() > 0
            assert np.allclose(record[entry], severity * np.array(strongest[entry]))
        for entry in ("times", "slow_axis", "breathing_period", "breathing_phase_rad", "spacing_mm", "centre_mm"):
            assert record[entry] == strongest[entry]
        saved = torch.from_numpy(read(folder, row).get_fdata(dtype=np.float32))
        found = motion.inspect(clean_image(manifest, row["subject"]), saved)
        assert record["residual_shift_voxels"] == pytest.approx(found["residual_shift_voxels"], abs=1e-4)


def test_a_scan_depends_neither_on_other_subjects_nor_on_other_artefacts(manifest):
    _, everyone = write(manifest, "sim-motion", simulate("motion"))
    write(manifest, "sim-noise", simulate("noise"))
    _, first = write(manifest, "sim-motion", simulate("motion"), n_subjects=1)
    pd.testing.assert_series_equal(everyone.iloc[0], first.iloc[0])
    _, other_seed = write(manifest, "sim-motion", simulate("motion", seed=6))
    assert not set(everyone["records"]) & set(other_seed["records"])
    assert everyone["records"].nunique() == 3


def test_a_mixture_holds_each_artefact_as_it_is_alone(manifest):
    mixtures = [["noise", "motion"], ["spike", "noise", "wrap"]]
    make = partial(
        conditions.mixed,
        mixtures=mixtures,
        spacing_mm=SPACING_MM,
        settings=SETTINGS,
        local_probability=0.5,
        seed=5,
    )
    folder, table = write(manifest, "mix", make)
    assert list(table["artefact"]) == ["noise+motion", "spike+noise+wrap"] * 3
    alone = {name: write(manifest, f"sim-{name}", simulate(name))[1].set_index("subject") for name in NAMES}
    for _, row in table.iterrows():
        records = json.loads(row["records"])
        assert [record["artefact"] for record in records] == row["artefact"].split("+")
        for record in records:
            single = json.loads(alone[record["artefact"]].loc[row["subject"], "records"])[0]
            changed = {"residual_shift_voxels"}  # seen on the finished scan, which here holds more
            assert {key: single[key] for key in single.keys() - changed} == {
                key: record[key] for key in record.keys() - changed
            }
        assert row["severity"] == max(record["severity"] for record in records)
        saved = read(folder, row).get_fdata(dtype=np.float32)
        assert np.array_equal(saved, conditions.remake(row, clean_image(manifest, row["subject"])).numpy())


@pytest.mark.parametrize("name", ["noise", "blur", "wrap"])
def test_a_sweep_is_one_realisation_at_rising_strength(manifest, name):
    severities = [0.0, 0.3, 1.0]
    make = partial(
        conditions.sweep,
        name=name,
        severities=severities,
        spacing_mm=SPACING_MM,
        settings=SETTINGS[name],
        seed=5,
    )
    folder, table = write(manifest, f"sweep-{name}", make, n_subjects=2)
    assert list(table["severity"]) == severities * 2
    assert list(table["scan"][:3]) == [f"sub-0_sweep-{name}-{index:02d}" for index in range(3)]
    image = clean_image(manifest, "sub-0")
    assert np.array_equal(read(folder, table.iloc[0]).get_fdata(dtype=np.float32), rescale(image))
    weak, strong = (json.loads(records)[0] for records in table["records"][1:3])
    same = {"noise": "noise_seed", "blur": "axes", "wrap": "axis"}[name]
    assert weak[same] == strong[same] and weak["local"] is None
    assert torch.equal(artefacts.corrupt(image, [weak]), conditions.remake(table.iloc[1], image))


def confined(manifest, *names):
    """Write the condition in which these artefacts lie outside the brain, and those that it is made from."""
    folders = [write(manifest, f"sim-{name}", simulate(name))[0] for name in names]
    simulated = read_conditions(folders)

    def make(image, subject):
        return outside.outside(image, simulated[simulated["subject"] == subject])

    return *write(manifest, "outside", make), simulated.set_index(["subject", "artefact"])


def test_an_artefact_outside_the_brain_leaves_its_bits_and_is_the_simulated_one_beyond_the_edge(manifest):
    folder, table, simulated = confined(manifest, "noise", "spike")
    assert list(table["artefact"]) == ["noise", "spike"] * 3 and set(table["condition"]) == {"outside"}
    for _, row in table.iterrows():
        brain = np.asanyarray(nib.load(folder / row["dseg"]).dataobj) > 0
        distance_mm = ndimage.distance_transform_cdt(~brain, metric="chessboard") * SPACING_MM
        kept, replaced = distance_mm <= outside.MARGIN_MM, distance_mm >= outside.MARGIN_MM + EDGE_MM
        assert brain.any() and kept.sum() > brain.sum() and replaced.any() and not (kept | replaced).all()
        source = simulated.loc[row["subject"], row["artefact"]]
        clean = rescale(clean_image(manifest, row["subject"])).numpy()
        corrupted = nib.load(source["image"]).get_fdata(dtype=np.float32)
        saved = read(folder, row).get_fdata(dtype=np.float32)
        assert np.array_equal(saved[kept], clean[kept]) and not np.array_equal(corrupted[kept], clean[kept])
        assert np.array_equal(saved[replaced], corrupted[replaced])
        assert not np.array_equal(saved[replaced], clean[replaced])
        low, high = np.minimum(clean, corrupted), np.maximum(clean, corrupted)
        assert (saved >= low - 1e-6).all() and (saved <= high + 1e-6).all()


def test_a_scan_outside_the_brain_has_the_records_of_its_simulated_one_and_is_made_again_from_them(manifest):
    folder, table, simulated = confined(manifest, "wrap")
    for _, row in table.iterrows():
        source = simulated.loc[row["subject"], "wrap"]
        (record,), (original,) = json.loads(row["records"]), json.loads(source["records"])
        assert record == original | {"outside": {"margin_mm": 4.0, "edge_mm": 6.0}}
        assert row["severity"] == source["severity"]
        again = outside.remake(row, clean_image(manifest, row["subject"]), folder / row["dseg"])
        assert np.array_equal(read(folder, row).get_fdata(dtype=np.float32), again.numpy())


def test_a_scan_outside_the_brain_is_not_made_again_without_its_label(manifest):
    _, table, _ = confined(manifest, "noise")
    with pytest.raises(
        InputError, match=f"{table['scan'][0]} has its artefact outside.*decoupled_qc.simulation.outside.remake"
    ):
        conditions.remake(table.iloc[0], clean_image(manifest, table["subject"][0]))


def test_a_label_without_tissue_is_refused_because_nothing_tells_where_the_brain_is(manifest):
    simulated = read_conditions([write(manifest, "sim-noise", simulate("noise"))[0]]).iloc[:1]
    empty = manifest.parent / "empty_dseg.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros(SHAPE, np.uint8), AFFINE), empty)
    with pytest.raises(InputError, match="empty_dseg.nii.gz labels no tissue"):
        outside.outside(clean_image(manifest, "sub-0"), simulated.assign(dseg=empty))
