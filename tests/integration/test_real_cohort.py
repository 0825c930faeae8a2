"""A data set laid out as MR-ART goes from an S3 server to Table 2, as a user would run it: ``make test-cohort``.

Its scores and MRIQC's measures are MR-ART's own where its tables are at hand, else made up; the images are balls that are
the worse, the worse they were scored.
"""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import yaml
from bucket import serve
from rated_balls import KINDS, MM, head
from shared_data import SHARED

from decoupled_qc.cohort.subjects import LABEL_SOURCE

GHOST = {1: 0.0, 2: 0.2, 3: 0.45}  # by score, 1 good to 3 bad
MEASURES = ["cjv", "snr_total"]
N_SUBJECTS = 8


def read_published() -> pd.DataFrame:
    """Return score and measures of the first people with three scans, the standard one good: scan as index."""
    folder = SHARED / "mrart_tables"
    tables = [pd.read_csv(folder / name, sep="\t", index_col="bids_name") for name in ("scores.tsv", "group_T1w.tsv")]
    both = tables[0].join(tables[1][MEASURES], how="inner")
    subject = both.index.str[:10]
    good = subject[(both["score"] == 1) & both.index.str.contains("standard")]
    whole = [name for name in good if (subject == name).sum() == len(KINDS)]
    return both[subject.isin(whole[:N_SUBJECTS])]


def make_up() -> pd.DataFrame:
    """Return what :func:`read_published` would, the score following from the kind of scan."""
    people = range(1, N_SUBJECTS + 1)
    rows = [(f"sub-{n:06d}_acq-{kind}_T1w", score) for n in people for kind, score in KINDS.items()]
    made = pd.DataFrame(rows, columns=["bids_name", "score"]).set_index("bids_name")
    return made.assign(cjv=0.3 + 0.1 * made["score"], snr_total=10.0 - made["score"])


RATED = read_published() if (SHARED / "mrart_tables").is_dir() else make_up()
SUBJECTS = sorted({name[:10] for name in RATED.index})
CUT_OFF = f"{SUBJECTS[-1]}_acq-headmotion2_T1w"
WITHOUT_LABELS = SUBJECTS[0]
WITHOUT_LABEL = "headmotion1"  # of the others
OVERLAY = {
    "use_artefacts": ["noise"],
    "cohort": {
        "scans": {
            "fetch": {
                "include": [
                    "sub-*/anat/*_T1w.nii.gz",
                    "sub-*/anat/*_dseg.nii.gz",
                    "derivatives/scores.tsv",
                    "derivatives/mriqc*/group_T1w.tsv",
                ]
            },
            "min_subjects": 8,
            "batches": 2,
            "roles": {"train": 0.25, "validation": 0.125, "test": 0.25, "real": 0.375},
        }
    },
    "test": {"mixtures": []},
    "scoring": {"measures": {"columns": ["cjv", "snr_total"]}},
}
TARGETS = ["tables/table_2.csv", "tables/table_2.txt", "analysis/real_artefacts.csv", "figures/figure_8.png"]
TARGETS += ["figures/figure_9.png", "figures/figure_10.png"]


def compressed(values: np.ndarray, folder: Path) -> bytes:
    path = folder / "one.nii.gz"
    nib.save(nib.Nifti1Image(values, np.diag([MM, MM, MM, 1])), path)
    return path.read_bytes()


def fill(bucket, folder: Path) -> None:
    """Put the data set into the bucket: one scan is cut off, as happens, and labels are missing."""
    for number, subject in enumerate(SUBJECTS):
        rng = np.random.default_rng(number)
        image, label = head(rng)
        image += rng.normal(0, 10, image.shape)
        for place, kind in enumerate(KINDS):
            name = f"{subject}_acq-{kind}"
            score = int(RATED.loc[f"{name}_T1w", "score"])
            ghosted = (1 - GHOST[score]) * image + GHOST[score] * np.roll(image, 9, axis=1)
            noise = np.random.default_rng([number, place]).normal(0, 10 * score, image.shape)
            scan = compressed(np.abs(ghosted + noise).astype(np.int16), folder)
            bucket.put(f"ds004173/{subject}/anat/{name}_T1w.nii.gz", scan[:-4000] if f"{name}_T1w" == CUT_OFF else scan)
            if subject != WITHOUT_LABELS and kind != WITHOUT_LABEL:
                bucket.put(f"ds004173/{subject}/anat/{name}_dseg.nii.gz", compressed(label, folder))
    for path, columns in {"scores.tsv": ["score"], "mriqc-0.16.1/group_T1w.tsv": MEASURES}.items():
        bucket.put(f"ds004173/derivatives/{path}", RATED[columns].to_csv(sep="\t").encode())
    description = {"DatasetDOI": "doi:10.18112/openneuro.ds004173.v1.0.2"}
    bucket.put("ds004173/dataset_description.json", json.dumps(description).encode())


@pytest.fixture(scope="module")
def results(bare_project, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mrart")
    project = bare_project.copy_to(folder / "project")
    resources = project.folder / "resources"
    if resources.is_symlink():  # its heads are shared, its data sets are not
        shared = resources.resolve()
        resources.unlink()
        resources.mkdir()
        for path in shared.iterdir():
            if path.name in ("heads", "downloads"):
                (resources / path.name).symlink_to(path)
    (project.folder / "tiny.yaml").write_text(yaml.safe_dump(OVERLAY))
    with serve() as bucket, pytest.MonkeyPatch.context() as patch:
        fill(bucket, folder)
        patch.setenv("AWS_ENDPOINT_URL_S3", bucket.url)
        overlays = ["config/smoke.yaml", "config/mrart.yaml", "tiny.yaml"]
        made = [f"results/mrart/{name}" for name in TARGETS]
        project.snakemake("--configfile", *overlays, "--", *made)
    return project.folder / "results/mrart"


pytestmark = pytest.mark.cohort


def test_every_file_is_verified_and_the_bad_scan_left_out_with_its_reason(results):
    fetched = pd.read_csv(results / "cohort/fetched.tsv", sep="\t")
    assert len(fetched) == 8 * 3 + 7 * 2 + 3 and fetched["sha256"].str.len().eq(64).all()
    audit = pd.read_csv(results / "cohort/audit.tsv", sep="\t", keep_default_na=False)
    bad = audit[audit["status"] != "ok"]
    assert list(bad["scan"]) == [CUT_OFF] and "read to its end" in bad["reason"].item()


def test_real_subjects_bring_all_their_rated_scans_and_do_nothing_else(results):
    manifest = pd.read_csv(results / "cohort/manifest.tsv", sep="\t", keep_default_na=False)
    assert manifest.groupby("role")["subject"].nunique().to_dict() == {
        "real": 3,
        "test": 2,
        "train": 2,
        "validation": 1,
    }
    assert manifest.groupby("subject")["role"].nunique().eq(1).all()
    assert manifest.loc[manifest["role"] != "real", "scan"].str.endswith("acq-standard").all()
    real = manifest[manifest["role"] == "real"]
    assert len(real) == 9 - real["subject"].eq(SUBJECTS[-1]).any()


def test_a_scan_without_label_gets_that_of_its_subject_or_a_classical_one(results):
    manifest = pd.read_csv(results / "cohort/manifest.tsv", sep="\t", keep_default_na=False)
    own = manifest["subject"] != WITHOUT_LABELS
    moved = manifest["scan"].str.contains(WITHOUT_LABEL)
    assert (own & moved).any() and (~own).any()
    assert set(manifest.loc[own & moved, "label_source"]) == {"provided, moved rigidly"}
    assert set(manifest.loc[own & ~moved, "label_source"]) == {"provided"}
    assert set(manifest.loc[~own & ~moved, "label_source"]) == {LABEL_SOURCE}


def test_ratings_and_shipped_measures_stand_in_the_scores(results):
    scores = pd.read_csv(results / "scores.csv")
    real = scores[scores["condition"] == "real"]
    rating = real[real["metric"] == "rating"]
    assert set(rating["aggregation"]) == {"rated"}
    published = RATED.loc[rating["scan"] + "_T1w"]
    assert (rating["value"].to_numpy() == 4 - published["score"].to_numpy()).all()
    cjv = real[(real["metric"] == "cjv") & (real["aggregation"] == "mriqc")].set_index("scan")["value"]
    assert sorted(cjv.index) == sorted(rating["scan"])
    assert cjv[rating["scan"]].to_numpy() == pytest.approx(published["cjv"].to_numpy())


def test_table_2_is_of_raters_and_no_stand_in(results):
    table = pd.read_csv(results / "tables/table_2.csv")
    scores = pd.read_csv(results / "scores.csv")
    n_scans = scores.loc[scores["condition"] == "real", "scan"].nunique()
    assert (table["n_scans"] == n_scans).all() and (table["n_subjects"] == 3).all()
    text = (results / "tables/table_2.txt").read_text()
    assert "scans with real artefacts" in text and "stand-in" not in text.lower()
    for number in (8, 9, 10):
        assert "stand-in" not in (results / f"figures/figure_{number}.txt").read_text().lower()


def test_each_score_is_asked_whether_it_finds_and_follows_motion(results):
    table = pd.read_csv(results / "analysis/real_artefacts.csv")
    scores = pd.read_csv(results / "scores.csv")
    scans = scores.loc[(scores["condition"] == "real") & (scores["metric"] == "rating"), "scan"]
    shown = RATED.loc[scans + "_T1w"]
    cjv = table[(table["score"] == "cjv") & (table["aggregation"] == "mriqc")].set_index("contrast")["value"]
    for cut in set(4 - shown["score"]) - {3}:
        bad = shown["cjv"][4 - shown["score"] <= cut].to_numpy()[:, None]
        good = shown["cjv"][4 - shown["score"] > cut].to_numpy()
        assert cjv[f"rating <= {cut}"] == pytest.approx(((bad > good) + (bad == good) / 2).mean())
    by_kind = {kind: shown["cjv"][shown.index.str.contains(kind)].to_numpy() for kind in ("standard", "headmotion1")}
    assert cjv["standard -> headmotion1"] == (by_kind["headmotion1"] > by_kind["standard"]).mean()
    ours = table[(table["score"] == "artefact_uncertainty") & (table["aggregation"] == "mean")]
    assert {"auroc", "change", "polyserial", "volume_change"} == set(ours["quantity"]) and ours["value"].notna().all()
