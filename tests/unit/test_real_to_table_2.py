"""Rated scans from a BIDS folder to Table 2, in one process: every stage is the product's own but the network's maps."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from rated_balls import KINDS, MM, head
from scipy import ndimage, stats

from decoupled_qc.analysis.correlation import correlate
from decoupled_qc.analysis.real import real_artefacts
from decoupled_qc.analysis.scores import COLUMNS, is_stand_in, one_row_a_scan, read_scores, read_subjects
from decoupled_qc.cohort import splits
from decoupled_qc.cohort.audit import write_audit
from decoupled_qc.cohort.prepare import prepare_scans
from decoupled_qc.cohort.sources import find_scans
from decoupled_qc.cohort.subjects import write_manifest
from decoupled_qc.evaluation.scoring import score_condition
from decoupled_qc.paper import tables, typeset
from decoupled_qc.paper.run_tables import table_of_run
from decoupled_qc.predictions import Prediction, write_prediction
from decoupled_qc.rating import judgements, rated

ADMISSION = {"pattern": "*_acq-standard_T1w", "good": [1], "real": "*_acq-*_T1w", "strict": False, "min_subjects": 7}
SHARES = {"train": 0.3, "validation": 0.15, "test": 0.15, "real": 0.4}


def make_bids(folder):
    """Seven people with three scans each, ever more noise in them, scored 1 good to 3 bad; one scan is cut off."""
    scores = []
    for number in range(7):
        rng = np.random.default_rng(number)
        image, label = head(rng)
        place = folder / f"sub-{number:02d}/anat"
        place.mkdir(parents=True)
        for kind, score in KINDS.items():
            values = image + rng.normal(0, 20 * score**2, label.shape)
            for suffix, content in (("T1w", np.abs(values).astype(np.int16)), ("dseg", label)):
                path = place / f"sub-{number:02d}_acq-{kind}_{suffix}.nii.gz"
                nib.save(nib.Nifti1Image(content, np.diag([MM, MM, MM, 1])), path)
            scores.append(f"sub-{number:02d}_acq-{kind}_T1w\t{score}\n")
    damaged = folder / "sub-06/anat/sub-06_acq-headmotion1_T1w.nii.gz"
    damaged.write_bytes(damaged.read_bytes()[:-4000])
    (folder / "derivatives").mkdir()
    (folder / "derivatives/scores.tsv").write_text("bids_name\tscore\n" + "".join(scores))
    return folder


def predict(scans_table, folder):
    """Write maps as a network's would be: the variance follows the noise of the scan."""
    for scan in pd.read_csv(scans_table, sep="\t").itertuples():
        file = nib.load(scans_table.parent / scan.image)
        image = file.get_fdata(dtype=np.float32)
        rough = torch.from_numpy(np.abs(image - ndimage.gaussian_filter(image, 1)).astype(np.float32))
        label = torch.from_numpy(
            (np.asanyarray(nib.load(scans_table.parent / scan.dseg).dataobj) == 2).astype(np.uint8)
        )
        write_prediction(
            folder,
            scan.scan,
            Prediction(label.float() * 0.9, label, {"task": rough * 0 + 0.1, "noise": rough}),
            file.affine,
        )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    listing = find_scans("bids", str(make_bids(folder / "bids")), [ADMISSION["pattern"], ADMISSION["real"]], None)
    admitted = splits.admit(listing, write_audit(listing, folder / "cohort", 2), **ADMISSION)
    scans = splits.chosen(admitted, splits.split(admitted, SHARES, None, 3))
    batch, real, maps = folder / "cohort/batch-0", folder / "conditions/real", folder / "maps"
    for place in (batch, real, maps):
        place.mkdir(parents=True)
    prepare_scans(scans, folder, batch, spacing_mm=4.0, registration_mm=4.0, best_rating=1, cache=folder, code="x")
    manifest = folder / "cohort/manifest.tsv"
    write_manifest([batch], manifest)
    rated.write_rated(manifest, real, worst=3, best=1)
    predict(real / "scans.tsv", maps)
    known = {"model": "student", "replicate": 0, "dilation_voxels": 1, "stand_in_rating_cuts": None}
    scores = score_condition(real / "scans.tsv", maps, **known)
    scores = pd.concat([scores, judgements.judged(scores, real / "scans.tsv", None, table=None, columns=[])])
    scores.to_csv(folder / "scores.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def tidy(run):
    return read_scores(run / "scores.csv"), read_subjects(run / "cohort/manifest.tsv")


def test_only_real_people_are_in_the_real_condition_with_their_raters_scores(run, tidy):
    scores, subjects = tidy
    real = set(subjects.loc[subjects["role"] == "real", "subject"])
    assert (
        len(real) == 3
        and set(scores["subject"]) == real
        and set(subjects["role"]) == {"train", "validation", "test", "real"}
    )
    rating = scores[scores["metric"] == "rating"]
    expected = rating["scan"].str.partition("_acq-")[2].map(KINDS)
    assert (rating["value"] == 4 - expected).all() and set(rating["aggregation"]) == {"rated"}
    assert len(rating) == 9 - ("sub-06" in real)


def test_table_2_is_the_raters_and_is_not_called_a_stand_in(tidy):
    scores, subjects = tidy
    wide = one_row_a_scan(scores, subjects)
    assert not is_stand_in(wide)
    found = correlate(scores, subjects, n_boot=50, n_permutations=99, seed=1)
    table = tables.correlation_table(found, "real")
    own = table.set_index("score").loc["artefact_uncertainty"]
    assert own["rho"] < -0.9 and own["n_scans"] == len(wide) and own["n_subjects"] == 3
    assert table.set_index("score").loc["snr", "rho"] > 0.8  # more noise, a lower rating
    text = typeset.as_text(*tables.parts(table, is_stand_in(wide)))
    assert "scans with real artefacts" in text and "stand-in" not in text.lower()
    manifest = subjects.assign(label_source="provided")
    real = scores.loc[scores["metric"] == "rating", ["scan", "value"]].rename(columns={"value": "rating"})
    raters = pd.concat([real.assign(rater=name) for name in ("anna", "bela")])
    notes = table_of_run(table, wide, manifest, [raters])[2]
    assert notes[:-1] == table_of_run(table, wide, manifest, [])[2] and notes[-2] == "Labels: provided."
    assert f"kappa of each pair: 1.00 (rho 1.00, {len(wide)} scans)" in notes[-1]


def test_the_score_finds_bad_scans_and_rises_with_motion_within_each_person(tidy):
    found = real_artefacts(*tidy, n_boot=50, seed=1)
    ours = found[(found["score"] == "artefact_uncertainty") & (found["aggregation"] == "mean")].set_index("contrast")
    assert (ours.loc[["rating <= 1", "rating <= 2", "standard -> headmotion2"], "value"] == 1).all()
    assert ours.loc["standard -> headmotion2", ["n_scans", "n_subjects"]].tolist() == [6, 3]
    blind = found[(found["score"] == "variance_task") & (found["quantity"] == "auroc")]
    assert (blind["value"] == 0.5).all()  # the same in every scan: chance


@pytest.mark.parametrize("sign", [1, -1])
def test_the_change_of_volume_is_taken_without_its_sign_and_that_of_the_uncertainty_with_it(sign):
    """Four people from their best scan to a bad one: the volume by 10, -20, 30 and -40 %, the uncertainty by 1 to 4, or less."""
    rows = []
    for number, change in enumerate([10, -20, 30, -40], start=1):
        base = (f"sub-{number}", f"sub-{number}_acq-{{}}", "student", "0", "real", "none", np.nan)
        for kind, values in (("standard", (3, 5, 500)), ("moved", (1, 5 + sign * number, 500 * (1 + change / 100)))):
            measures = ("rating", "rated"), ("artefact_uncertainty", "mean"), ("volume_ml", "gm")
            about = (base[0], base[1].format(kind), *base[2:])
            rows += [(*about, *measure, value) for measure, value in zip(measures, values, strict=True)]
    scores = pd.DataFrame(rows, columns=COLUMNS)
    people = scores[["subject"]].drop_duplicates().assign(anatomy="a", role="real")
    found = real_artefacts(scores, people, n_boot=50, seed=1).set_index("quantity")
    assert found.loc["volume_change", ["value", "n_scans", "n_subjects"]].tolist() == [sign, 4, 4]


def test_ratings_of_stand_in_scans_are_called_by_their_name(tidy):
    scores, subjects = tidy
    for aggregation, word in (("stand_in", "Stand-in rating"), ("rated_stand_in", "Rating")):
        changed = scores.assign(aggregation=scores["aggregation"].where(scores["metric"] != "rating", aggregation))
        assert is_stand_in(one_row_a_scan(changed, subjects))
        lines = tables.title("real", True, rated=aggregation == "rated_stand_in")
        assert lines.startswith(f"Table 2. {word} against") and "foreign simulators" in lines
    assert "raters who saw the segmentation alone" in tables.notes("real", True, rated=True)[0]
    assert "no rater saw them" in tables.notes("real", True)[0]


def test_of_a_persons_best_rated_scans_the_first_by_name_is_the_reference():
    """Choosing the less uncertain of them would choose by what is asked about."""
    rows = []
    for number in range(4):
        for place, (rating, uncertainty, volume) in enumerate(((4, 3, 600), (4, 1, 500), (1, 4, 600 + 10 * number))):
            base = (f"sub-{number}", f"sub-{number}_{place}", "student", 0, "real", "motion", np.nan)
            values = {("rating", "rated"): rating, ("artefact_uncertainty", "mean"): uncertainty + number}
            values |= {("volume_ml", "gm"): volume}
            rows += [(*base, *key, float(value)) for key, value in values.items()]
    scores = pd.DataFrame(rows, columns=list(COLUMNS))
    subjects = pd.DataFrame({"subject": [f"sub-{number}" for number in range(4)], "anatomy": "a", "role": "real"})
    found = real_artefacts(scores, subjects, n_boot=20, seed=1).set_index("quantity").loc["volume_change"]
    uncertainty = np.r_[np.full(4, -2), np.full(4, 1)]
    volume = np.r_[np.full(4, 100 / 6), np.arange(4) / 6 * 10]
    assert found["value"] == pytest.approx(stats.spearmanr(uncertainty, volume).statistic)
    assert found["n_scans"] == 8
