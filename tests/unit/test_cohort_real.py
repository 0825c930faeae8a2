"""Rated scans with real artefacts: who brings them, what becomes of ratings, and labels moved between a person's scans."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from decoupled_qc.analysis.scores import RATED, RATED_STAND_IN
from decoupled_qc.cohort import splits
from decoupled_qc.cohort.carry import carry
from decoupled_qc.cohort.manifest import read_manifest
from decoupled_qc.errors import InputError
from decoupled_qc.rating import judgements, rated

SHARES = {"train": 0.5, "validation": 0.1, "test": 0.1, "real": 0.3}
KINDS = {"standard": "1", "headmotion1": "2", "headmotion2": "3"}
ADMISSION = {"pattern": "*_acq-standard_T1w", "good": [1], "real": "*_acq-*_T1w", "strict": False, "min_subjects": 3}


def listing(n=20):
    rows = [
        {"subject": f"sub-{number:02d}", "scan": f"sub-{number:02d}_acq-{kind}_T1w", "role": "", "rating": rating}
        for number in range(n)
        for kind, rating in KINDS.items()
    ]
    return pd.DataFrame(rows)


def admitted(scans, **changes):
    hashes = dict.fromkeys(("sha256", "source_sha256"), scans["scan"])
    found = pd.DataFrame({"scan": scans["scan"], "status": "ok", "reason": "", **hashes})
    return splits.admit(scans, found, **(ADMISSION | changes))


def test_real_people_bring_all_rated_scans_and_the_others_one_good_one():
    scans = listing()
    scans.loc[0, "rating"] = "2"  # the standard scan of sub-00 is not good
    scans.loc[4, "rating"] = ""  # nobody rated this one of sub-01
    scans = admitted(scans)
    roles = splits.split(scans, SHARES, None, seed=1)
    assert roles["role"].value_counts().to_dict() == {"train": 10, "real": 6, "validation": 2, "test": 2}
    assert roles.set_index("subject")["role"]["sub-00"] == "real"
    used = splits.chosen(scans, roles)
    real = used[used["role"] == "real"]
    assert len(used) - len(real) == 14 and used[used["role"] != "real"]["scan"].str.endswith("_acq-standard_T1w").all()
    assert "" not in set(real["rating"]) and real.groupby("subject").size().max() == 3
    assert not set(real["subject"]) & set(used[used["role"] != "real"]["subject"])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"rating": "bad"}, "sub-00_acq-standard_T1w has the rating 'bad', which is no number"),
        ({"rating": "2", "role": "train"}, "sub-00 has role train but no scan for it"),
        ({"role": "holdout"}, "sub-00 has role 'holdout'; use one of train, validation, test, real"),
    ],
)
def test_rows_that_cannot_be_used(change, named):
    scans = listing()
    for column, value in change.items():
        scans.loc[0, column] = value
    with pytest.raises(InputError, match=named):
        splits.split(admitted(scans), SHARES, None, seed=1)


def test_a_real_set_without_ratings_and_without_people_stops():
    with pytest.raises(InputError, match=r"No scan named like '\*_acq-\*_T1w' has a rating"):
        admitted(listing().assign(rating=""), good=None)
    with pytest.raises(InputError, match="No subject is left for the role real"):
        splits.split(admitted(listing()), SHARES | {"train": 0.8, "real": 0.0}, None, seed=1)


@pytest.fixture
def manifest(tmp_path):
    """Two real people with three scans each, and one who trains."""
    rows = []
    for number in range(3):
        for kind, rating in KINDS.items() if number else {"standard": "1"}.items():
            stem = f"sub-{number:02d}_acq-{kind}"
            nib.save(
                nib.Nifti1Image(np.random.default_rng(number).random((4, 5, 6), np.float32), np.eye(4)),
                tmp_path / f"{stem}.nii.gz",
            )
            files = {"image": f"{stem}.nii.gz", "dseg": f"{stem}.nii.gz", "label_source": "toy"}
            role = "real" if number else "train"
            known = {
                "subject": f"sub-{number:02d}",
                "anatomy": f"{number:02d}",
                "role": role,
                "scan": stem,
                "rating": rating,
            }
            rows.append({**known, **files})
    pd.DataFrame(rows).to_csv(tmp_path / "manifest.tsv", sep="\t", index=False)
    return tmp_path / "manifest.tsv"


def test_a_manifest_holds_several_scans_of_real_people_only(manifest):
    table = read_manifest(manifest)
    assert table["role"].value_counts().to_dict() == {"real": 6, "train": 1}
    table.assign(role="test").to_csv(manifest, sep="\t", index=False)
    with pytest.raises(InputError, match="sub-01 more than once"):
        read_manifest(manifest)
    table.assign(rating="").to_csv(manifest, sep="\t", index=False)
    with pytest.raises(InputError, match="a real scan of subject sub-01 has no name or no rating"):
        read_manifest(manifest)


@pytest.mark.parametrize("scale", [{"worst": 3, "best": 1}, {"worst": 1, "best": 3}])
def test_ratings_are_turned_so_that_higher_is_better(scale, manifest, tmp_path):
    folder = tmp_path / "real"
    rated.write_rated(manifest, folder, **scale)
    table = pd.read_csv(folder / "scans.tsv", sep="\t")
    given = table["scan"].str.partition("_acq-")[2].map(KINDS).astype(int)
    assert (table["rating"] == (4 - given if scale["best"] == 1 else given)).all()
    best = table["rating"] == 3
    assert (table.loc[best, "artefact"] == "none").all() and set(table["condition"]) == {"real"}
    assert set(table.loc[~best, "artefact"]) == (
        {"headmotion1", "headmotion2"} if scale["best"] == 1 else {"standard", "headmotion1"}
    )
    with pytest.raises(InputError, match="rating 3, outside 1 to 2"):
        rated.write_rated(manifest, folder, worst=1, best=2)


def judged(folder, scans, **changes):
    scans.to_csv(folder / "scans.tsv", sep="\t", index=False)
    identity = {"model": "student", "replicate": 0, "condition": "real", "artefact": "x", "severity": np.nan}
    scores = scans[["subject", "scan"]].assign(**identity, metric="dice", aggregation="gm", value=0.5, note="")
    settings = {"ratings": None, "table": None, "columns": []} | changes
    return judgements.judged(scores, folder / "scans.tsv", settings.pop("ratings"), **settings)


def test_judgements_join_the_scores(tmp_path):
    scans = pd.DataFrame({"subject": ["sub-1", "sub-2"], "scan": ["sub-1_acq-a", "sub-2_acq-a"], "rating": [3.0, 1.0]})
    (tmp_path / "iqm.tsv").write_text("bids_name\tcjv\nsub-1_acq-a_T1w\t0.4\n")
    found = judged(tmp_path, scans, table=str(tmp_path / "iqm.tsv"), columns=["cjv"])
    value = found.set_index(["metric", "aggregation", "scan"])["value"]
    assert value["rating", RATED, "sub-1_acq-a"] == 3 and value["cjv", "mriqc", "sub-1_acq-a"] == 0.4
    assert np.isnan(value["cjv", "mriqc", "sub-2_acq-a"]) and (found["note"] != "").sum() == 1
    (tmp_path / "r.tsv").write_text("scan\trater\trating\nsub-1_acq-a\tanna\t2\nsub-1_acq-a\tbela\t3\n")
    for table, aggregation in ((scans, RATED), (scans.drop(columns="rating"), RATED_STAND_IN)):
        value = judged(tmp_path, table, ratings=tmp_path / "r.tsv").set_index(["aggregation", "scan"])["value"]
        assert value[aggregation, "sub-1_acq-a"] == 2.5 and np.isnan(value[aggregation, "sub-2_acq-a"])
    assert judged(tmp_path, scans.drop(columns="rating")).empty


def test_measures_that_do_not_fit_are_named(tmp_path):
    (tmp_path / "iqm.tsv").write_text("bids_name\tcjv\nsub-9_T1w\t0.4\n")
    scans = pd.Series(["sub-1"])
    with pytest.raises(InputError, match="knows none of the scans of condition real, such as sub-1"):
        judgements.read_measures(tmp_path / "iqm.tsv", ["cjv"], scans)
    with pytest.raises(InputError, match=r"no column 'efc' of config key scoring\.measures\.columns"):
        judgements.read_measures(tmp_path / "iqm.tsv", ["efc"], scans)
    (tmp_path / "iqm.tsv").write_text("bids_name\tcjv\nsub-1_T1w\t0.4\nsub-1\t0.5\n")
    with pytest.raises(
        InputError, match=r"iqm.tsv, row 3: gives measures of the same scan as an earlier row: keep one"
    ):
        judgements.read_measures(tmp_path / "iqm.tsv", ["cjv"], scans)


def test_measures_of_scans_named_by_numbers(tmp_path):
    (tmp_path / "iqm.tsv").write_text("scan\tcjv\n0001\t0.4\n0002\tn/a\n")
    found = judgements.read_measures(tmp_path / "iqm.tsv", ["cjv"], pd.Series(["0002", "0001"]))["cjv"]
    assert np.isnan(found["0002"]) and found["0001"] == 0.4


def test_labels_follow_the_head_to_another_scan():
    """A lopsided head moved by 8 mm and 8 degrees: the carried label overlaps the true one far better than the unmoved."""
    affine = np.diag([2.0, 2, 2, 1])
    affine[:3, 3] = -48

    def scan(shift, degrees):
        angle = np.deg2rad(degrees)
        turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        world = np.einsum(
            "ij,jxyz->ixyz", turn.T, np.indices((48, 48, 48)) * 2.0 - 48 - np.reshape(shift, (3, 1, 1, 1))
        )
        inner = np.sqrt((world[0] / 22) ** 2 + ((world[1] - 4) / 28) ** 2 + ((world[2] + 2) / 18) ** 2)
        label = (inner < 1).astype(np.float32)
        outer = np.sqrt((world[0] / 30) ** 2 + (world[1] / 38) ** 2 + (world[2] / 26) ** 2) < 1
        image = (
            300 * outer
            + 400 * label
            + 200 * (np.linalg.norm(world - np.reshape([12, 20, 8], (3, 1, 1, 1)), axis=0) < 8)
        )
        return nib.Nifti1Image(image.astype(np.float32), affine), nib.Nifti1Image(label, affine)

    source, label = scan([0, 0, 0], 0)
    target, truth = scan([8, 0, 0], 8)
    moved = carry([label], source, target, registration_mm=2.0)[0]

    def dice(found):
        one, other = found.get_fdata() > 0.5, truth.get_fdata() > 0.5
        return 2 * (one & other).sum() / (one.sum() + other.sum())

    assert dice(label) < 0.85 and dice(moved) > 0.96
    assert np.array_equal(moved.affine, target.affine)
