"""Real scans: listing, audit, admission, roles, preparation."""

import re
from pathlib import Path

import nibabel as nib
import nibabel.processing
import numpy as np
import pandas as pd
import pytest

from decoupled_qc import cli
from decoupled_qc.cohort import aseg, checks, prepare, sources, splits, tissues
from decoupled_qc.cohort import audit as audit_command
from decoupled_qc.cohort.audit import write_audit
from decoupled_qc.cohort.manifest import read_manifest
from decoupled_qc.cohort.subjects import write_manifest
from decoupled_qc.errors import InputError
from decoupled_qc.evaluation.metrics import dice

SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2, "real": 0.0}
ADMIT = {"pattern": "*", "good": None, "real": None, "strict": False, "min_subjects": 3}
MM = 2.0
TOY_ATLAS = tissues.Atlas(np.zeros((2, 2, 2), np.float32), np.zeros((3, 2, 2, 2), np.float32), np.eye(4))
PREPARED = {"spacing_mm": 4.0, "registration_mm": 4.0, "best_rating": 1, "cache": Path("none"), "code": "x"}


def head(seed):
    """A ball of tissue in air, (50, 50, 50) at 2 mm, and its label with about 500 ml of grey matter."""
    distance = np.linalg.norm(np.indices((50, 50, 50)) - 24.5, axis=0) * MM
    label = np.select([distance < 20, distance < 50, distance < 55], [3, 2, 1], 0).astype(np.uint8)
    noise = np.random.default_rng(seed).random(label.shape)
    return (np.array([0, 200, 500, 800])[label] + 50 * noise).astype(np.int16), label


def write(folder, subject, seed, *, values=None, label=None, affine=None, name="T1w"):
    folder = folder / subject / "anat"
    folder.mkdir(parents=True, exist_ok=True)
    affine = np.diag([MM, MM, MM, 1]) if affine is None else affine
    image, tissue = head(seed)
    values = image if values is None else values
    nib.save(nib.Nifti1Image(values, affine), folder / f"{subject}_{name}.nii.gz")
    label = tissue if label is None else label
    nib.save(nib.Nifti1Image(label, np.diag([MM, MM, MM, 1])), folder / f"{subject}_dseg.nii.gz")
    return folder / f"{subject}_{name}.nii.gz"


@pytest.fixture
def bids(tmp_path):
    for number in range(6):
        write(tmp_path, f"sub-{number:02d}", number)
    return tmp_path


def find(path, pattern="*"):
    return sources.find_scans("bids" if path.is_dir() else "table", str(path), [pattern], None)


def audit(scans):
    return pd.DataFrame([checks.check_scan(row)[0] for row in scans.itertuples()])


def reasons(path):
    found = audit(find(path))
    return dict(found.loc[found["status"] != "ok", ["scan", "reason"]].itertuples(index=False))


def admitted(path, **changes):
    scans = find(path)
    return splits.admit(scans, audit(scans), **(ADMIT | changes))


def test_hidden_files_of_a_bids_folder_are_no_scans(bids):
    for name in ("._sub-01_T1w.nii.gz", ".partial-sub-01_T1w.nii.gz", "._sub-01_dseg.nii.gz"):
        (bids / "sub-01/anat" / name).write_bytes(b"no scan")
    assert list(find(bids)["scan"]) == [f"sub-{number:02d}_T1w" for number in range(6)]


def test_a_bids_folder_is_listed_with_labels_and_ratings(bids):
    (bids / "derivatives").mkdir()
    (bids / "derivatives" / "scores.tsv").write_text("bids_name\tscore\nsub-03_T1w\t2\n")
    scans = find(bids)
    assert list(scans["subject"]) == [f"sub-{number:02d}" for number in range(6)]
    assert (scans["label_source"] == "provided").all()
    assert list(scans["rating"]) == ["", "", "", "2", "", ""] and set(scans["site"]) == {""}
    (bids / "participants.tsv").write_text("participant_id\tage\tsite\nsub-01\t33\tGuys\nsub-02\tn/a\tn/a\n")
    assert list(find(bids)["site"]) == ["", "Guys", "", "", "", ""]
    with (bids / "derivatives" / "scores.tsv").open("a") as file:
        file.write("sub-03_T1w\t3\n")
    with pytest.raises(
        InputError, match=r"scores.tsv, row 3: sub-03_T1w has a row above, too: keep one, .* scoring.ratings"
    ):
        find(bids)


def test_a_table_gives_the_same_scans_as_its_folder(bids):
    rows = [(f"sub-{n:02d}", f"sub-{n:02d}/anat/sub-{n:02d}_T1w.nii.gz") for n in range(6)]
    pd.DataFrame(rows, columns=["subject", "image"]).to_csv(bids / "scans.csv", index=False)
    same = ["subject", "scan", "image"]
    pd.testing.assert_frame_equal(find(bids / "scans.csv")[same], find(bids)[same])


def test_an_empty_cell_of_a_table_may_be_n_a_and_a_scan_without_a_name_gets_its_files(tmp_path):
    rows = ["sub-1,n/a,a.nii.gz,n/a,2", "sub-2,,b.nii,,n/a", "sub-3,third,b.nii,d.nii,n/a"]
    (tmp_path / "scans.csv").write_text("subject,scan,image,dseg,rating\n" + "\n".join(rows) + "\n")
    scans = find(tmp_path / "scans.csv")
    assert list(scans["scan"]) == ["a", "b", "third"] and list(scans["rating"]) == ["2", "", ""]
    assert list(scans["dseg"]) == ["", "", str(tmp_path / "d.nii")]
    assert list(scans["label_source"]) == ["", "", "provided"]


def test_scans_that_were_not_fetched_are_left_out_and_named(bids, tmp_path, caplog):
    fetched = tmp_path / "fetched.tsv"
    paths = [f"sub-{number:02d}/anat/sub-{number:02d}_T1w.nii.gz" for number in (1, 2, 4)]
    pd.DataFrame({"path": [*paths, "dataset_description.json"]}).to_csv(fetched, sep="\t", index=False)
    scans = sources.find_scans("bids", str(bids), ["*"], 2, fetched)
    assert list(scans["subject"]) == ["sub-01", "sub-02"]
    assert f"3 scans in {bids} were not fetched for this run and are left out, the first {bids}/sub-00/" in caplog.text


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("subject\nsub-1\n", "lacks the column image"),
        ("subject,image\nn/a,a.nii\n", "has no subject in row 2"),
        ("subject,image,scan\nsub-1,a.nii,x\nsub-2,b.nii,x_T1w\n", "has the scans x and x_T1w, which both become x"),
        ("subject,image\nsub-1,a.nii\n1,b.nii\n", "has the subjects sub-1 and 1, which both become 1: rename one"),
        (
            "subject,image,scan\nsub-1,a.nii,ses/1\n",
            r"has the scan 'ses/1' \(.*a.nii\), which cannot name a file: use no slash",
        ),
        ("subject,image\n../sub-1,a.nii\n", r"has the subject '../sub-1' \(.*a.nii\), which cannot name a file"),
        ("subject,image\nsub-1,\n", "has no image in row 2"),
        ("subject,image,grade\nsub-1,a.nii,3\n", "unknown column grade"),
        ("subject,image\nsub-1,a.nii\nsub-2,b/a.nii\n", "lists scan a more than once"),
        ("subject,image\n", "holds no scan named like"),
    ],
)
def test_tables_that_cannot_be_used(text, named, tmp_path):
    (tmp_path / "scans.csv").write_text(text)
    with pytest.raises(InputError, match=named):
        find(tmp_path / "scans.csv")


def test_source_that_is_not_there(tmp_path):
    with pytest.raises(
        InputError, match=rf"cohort\.source is 'dicom': use heads or one of {', '.join(sources.names())}"
    ):
        sources.check("dicom", str(tmp_path))
    with pytest.raises(InputError, match=r"cohort\.scans\.path is not set"):
        sources.check("bids", None)
    with pytest.raises(InputError, match="does not exist: correct config key"):
        sources.check("bids", str(tmp_path / "nowhere"))


def nan(folder):
    values = head(0)[0].astype(np.float32)
    values[0, 0, 0] = np.nan
    write(folder, "sub-02", 2, values=values)


def cut_off(folder):
    path = folder / "sub-02" / "anat" / "sub-02_T1w.nii.gz"
    path.write_bytes(path.read_bytes()[:-5000])


def mirrored(folder):
    path = folder / "sub-02" / "anat" / "sub-02_T1w.nii.gz"
    file = nib.Nifti1Image(head(2)[0], np.diag([MM, MM, MM, 1]))
    file.set_qform(np.diag([-MM, MM, MM, 1]), code=1)
    file.set_sform(np.diag([MM, MM, MM, 1]), code=1)
    nib.save(file, path)


def no_rotation(folder):
    file = nib.Nifti1Image(head(2)[0], np.diag([MM, MM, MM, 1]))
    file.set_sform(file.affine, code=1)
    file.header["qform_code"], file.header["quatern_b"], file.header["quatern_c"] = 1, 1, 1  # longer than 1
    nib.save(file, folder / "sub-02" / "anat" / "sub-02_T1w.nii.gz")


DAMAGE = {
    "has a qform that is no rotation .*: correct it, or set its code to 0": no_rotation,
    "NaN or infinite": nan,
    "cannot be read to its end": cut_off,
    "mirror each other": mirrored,
    "is constant": lambda folder: write(folder, "sub-02", 2, values=np.zeros((50, 50, 50), np.int16)),
    "one volume with three axes": lambda folder: write(folder, "sub-02", 2, values=np.ones((50, 50, 50, 2), np.int16)),
    "cannot be read as an image": lambda folder: (folder / "sub-02/anat/sub-02_T1w.nii.gz").write_bytes(b"no scan"),
    "voxels of 5 x 5 x 5 mm": lambda folder: write(folder, "sub-02", 2, affine=np.diag([5, 5, 5, 1])),
    "its scan \\(50, 50, 50\\)": lambda folder: write(folder, "sub-02", 2, label=head(2)[1][:-1]),
    "another affine": lambda folder: write(folder, "sub-02", 2, affine=np.diag([MM, MM, 2.5, 1])),
    "neither tissues": lambda folder: write(folder, "sub-02", 2, label=head(2)[1] * 33),
    "0 ml of grey matter": lambda folder: write(folder, "sub-02", 2, label=np.zeros((50, 50, 50), np.uint8)),
}


@pytest.mark.parametrize("reason", DAMAGE)
def test_a_bad_scan_is_excluded_with_its_reason_and_nothing_else_is_lost(reason, bids):
    DAMAGE[reason](bids)
    found = reasons(bids)
    assert list(found) == ["sub-02_T1w"]
    assert re.search(reason, found["sub-02_T1w"])
    assert list(admitted(bids)["subject"]) == ["sub-00", "sub-01", "sub-03", "sub-04", "sub-05"]


def test_strict_and_too_few_left_stop(bids):
    cut_off(bids)
    with pytest.raises(InputError, match="excludes 1 of 6 scans, the first sub-02_T1w.*strict stops the run"):
        admitted(bids, strict=True)
    with pytest.raises(InputError, match=r"^5 of 6 subjects are left.*min_subjects asks for 6: the audit leaves out 1"):
        admitted(bids, min_subjects=6)


def test_one_image_under_two_names_stops(bids):
    write(bids, "sub-09", 4, values=head(4)[0].astype(np.float32))  # another data type, the same scan
    with pytest.raises(InputError, match="Scans sub-04_T1w and sub-09_T1w hold the same image"):
        admitted(bids)


def test_whatever_of_a_scan_is_prepared_changes_its_row(bids):
    """Its voxels, its place in the world, its label; a copy with another time does not."""
    moved = np.diag([MM, MM, MM, 1.0])
    moved[0, 3] = 0.05  # within what a label may differ
    first = admitted(bids).set_index("scan")["source_sha256"]
    write(bids, "sub-00", 0)
    write(bids, "sub-01", 11)
    write(bids, "sub-02", 2, affine=moved)
    write(bids, "sub-03", 3, label=head(3)[1][::-1].copy() % 3)
    again = admitted(bids).set_index("scan")["source_sha256"]
    assert list(first.index[first != again]) == ["sub-01_T1w", "sub-02_T1w", "sub-03_T1w"]
    assert first.str.len().eq(64).all() and first.is_unique


def test_several_scans_of_a_subject_need_a_choice(bids, caplog):
    write(bids, "sub-03", 9, name="acq-headmotion1_T1w")
    with pytest.raises(InputError, match=r"Subject sub-03 has 2 scans .* cohort\.scans\.pattern"):
        admitted(bids)
    caplog.set_level("INFO")
    assert list(find(bids, "*_acq-headmotion1_T1w")["subject"]) == ["sub-03"]
    assert "1 of 6 subjects have a scan named like '*_acq-headmotion1_T1w' (cohort.scans.pattern, real)" in caplog.text


def test_the_first_pattern_that_a_subject_has_a_usable_scan_for_chooses_it(bids):
    """People who were scanned once, in two runs, and in two sessions."""
    patterns = ["*_ses-1_*", "*_run-1_T1w", "*_T1w"]
    (bids / "derivatives").mkdir()
    for number, names in {1: ("run-1", "run-2"), 2: ("run-1", "run-2"), 3: ("ses-1_run-2", "ses-2_run-1")}.items():
        (bids / f"sub-{number:02d}/anat/sub-{number:02d}_T1w.nii.gz").unlink()
        for place, name in enumerate(names):
            write(bids, f"sub-{number:02d}", 10 * number + place, name=f"{name}_T1w")
    ratings = {"sub-02_run-1": "3", "sub-05": "n/a"} | dict.fromkeys(
        ("sub-00", "sub-01_run-1", "sub-02_run-2", "sub-04"), "1"
    )
    ratings["sub-03_ses-1_run-2"] = "1"
    rows = "".join(f"{scan}_T1w\t{rating}\n" for scan, rating in ratings.items())
    (bids / "derivatives" / "scores.tsv").write_text("bids_name\tscore\n" + rows)
    with pytest.raises(InputError, match=r"Subject sub-01 has 2 scans .* a list of them of which the first"):
        admitted(bids)
    chosen = [
        "sub-00_T1w",
        "sub-01_run-1_T1w",
        "sub-02_run-1_T1w",
        "sub-03_ses-1_run-2_T1w",
        "sub-04_T1w",
        "sub-05_T1w",
    ]
    assert list(admitted(bids, pattern=patterns)["scan"]) == chosen
    good = admitted(bids, pattern=patterns, good=[1])
    assert list(good["scan"]) == [*chosen[:2], "sub-02_run-2_T1w", *chosen[3:5]]


def test_what_took_people_is_counted_by_its_key(bids, caplog):
    caplog.set_level("INFO")
    cut_off(bids)
    write(bids, "sub-03", 33, name="acq-other_T1w")
    (bids / "sub-03/anat/sub-03_T1w.nii.gz").unlink()
    (bids / "derivatives").mkdir()
    (bids / "derivatives" / "scores.tsv").write_text(
        "bids_name\tscore\nsub-00_T1w\t1\nsub-01_T1w\t2\nsub-04_T1w\tn/a\n"
    )
    lost = r"the audit leaves out 1 \(its table has the reasons\), cohort.scans.pattern 1, and ratings 3 \(cohort.scans.good\)"
    with pytest.raises(InputError, match=rf"^1 of 6 subjects are left, and .*min_subjects asks for 3: {lost}\.$"):
        admitted(bids, pattern="sub-??_T1w", good=[1])
    assert re.search(f"1 of 6 listed subjects can be used: {lost}", caplog.text)


def test_a_subject_in_two_roles_stops(bids):
    scans = find(bids)
    scans.loc[:1, "role"] = ["train", "test"]
    scans.loc[:1, "subject"] = "sub-00"
    with pytest.raises(InputError, match="Subject sub-00 has the roles test and train"):
        splits.admit(scans, audit(scans), **ADMIT)


def cohort(n, **columns):
    names = [f"sub-{number}" for number in range(n)]
    known = {"role": "", "is_clean": True, "is_rated": False}
    return pd.DataFrame({"subject": names, "scan": names, **known, **columns})


def test_roles_follow_shares_and_not_the_order():
    scans = cohort(50)
    found = splits.split(scans, SHARES, None, seed=1)
    assert found["role"].value_counts().to_dict() == {"train": 30, "validation": 10, "test": 10}
    pd.testing.assert_frame_equal(found, splits.split(scans[::-1], SHARES, None, seed=1))
    assert not found.equals(splits.split(scans, SHARES, None, seed=2))


def test_subjects_keep_an_earlier_role_when_the_cohort_grows(tmp_path):
    first = splits.split(cohort(20), SHARES, None, seed=1)
    first.to_csv(tmp_path / "splits.tsv", sep="\t", index=False)
    grown = splits.split(cohort(40), SHARES, tmp_path / "splits.tsv", seed=1)
    both = first.merge(grown, on="subject")
    assert len(both) == 20 and (both["role_x"] == both["role_y"]).all()
    assert grown["role"].value_counts().to_dict() == {"train": 24, "validation": 8, "test": 8}


def test_splits_that_cannot_be_made(tmp_path):
    with pytest.raises(InputError, match="adds up to 1.2"):
        splits.split(cohort(9), SHARES | {"train": 0.8}, None, seed=1)
    with pytest.raises(InputError, match="No subject is left for the role"):
        splits.split(cohort(2), SHARES, None, seed=1)
    with pytest.raises(InputError, match="sub-0 has role 'training'; use one of train, validation, test, real"):
        splits.split(cohort(5).assign(role="training"), SHARES, None, seed=1)
    with pytest.raises(InputError, match="does not exist: correct config key cohort.scans.splits"):
        splits.split(cohort(5), SHARES, tmp_path / "splits.tsv", seed=1)
    (tmp_path / "splits.tsv").write_text("subject\trole\nsub-0\ttest\n")
    with pytest.raises(InputError, match="sub-0 has the role train, but test in"):
        splits.split(cohort(5).assign(role="train"), SHARES, tmp_path / "splits.tsv", seed=1)
    (tmp_path / "splits.tsv").write_text("subject\trole\nsub-0\ttest\nsub-0\ttrain\n")
    with pytest.raises(InputError, match=r"splits.tsv, row 3: subject sub-0 has a row above, too: keep one"):
        splits.split(cohort(5), SHARES, tmp_path / "splits.tsv", seed=1)


def test_audit_command_writes_table_and_page_and_strict_fails_after_it(bids, tmp_path, capsys):
    cut_off(bids)
    out = tmp_path / "out"
    assert cli.main(["audit", str(bids), "--out", str(out)]) == 0
    assert "5 of 6 scans can be used" in capsys.readouterr().out
    page = (out / "audit.html").read_text()
    assert page.count("data:image/png") == 5 and "cannot be read to its end" in page and 'src="http' not in page
    (out / "audit.tsv").unlink()
    assert cli.main(["audit", str(bids), "--out", str(out), "--strict"]) == 2
    assert "1 of 6 scans cannot be used" in capsys.readouterr().err
    assert len(pd.read_csv(out / "audit.tsv", sep="\t")) == 6


def test_twins_are_marked_in_the_table_printed_and_count_for_strict(bids, tmp_path, capsys):
    write(bids, "sub-09", 4, affine=np.diag([MM, MM, 2.5, 1]))  # excluded: its label has another affine
    write(bids, "sub-08", 5)
    out = tmp_path / "out"
    assert cli.main(["audit", str(bids), "--out", str(out), "--strict"]) == 2
    told = capsys.readouterr()
    assert "7 of 8 scans can be used" in told.out and "4 of 8 scans cannot be used as they are" in told.err
    table = pd.read_csv(out / "audit.tsv", sep="\t", keep_default_na=False).set_index("scan")
    for one, other in (("sub-04", "sub-09"), ("sub-09", "sub-04"), ("sub-05", "sub-08"), ("sub-08", "sub-05")):
        sentence = f"{one}_T1w holds the same image as {other}_T1w: drop one of them."
        assert table["reason"][f"{one}_T1w"].endswith(sentence) and sentence in told.out
    assert (table["reason"] != "").sum() == 4 and "another affine" in table["reason"]["sub-09_T1w"]
    assert list(table.index[table["status"] != "ok"]) == ["sub-09_T1w"]


def test_the_page_names_twins(bids, tmp_path):
    write(bids, "sub-09", 4)
    write_audit(find(bids), tmp_path, 1)
    assert "sub-04_T1w = sub-09_T1w" in (tmp_path / "audit.html").read_text()


def test_many_scans_make_several_pages_and_the_order_holds_with_two_jobs(bids, tmp_path, monkeypatch):
    monkeypatch.setattr(audit_command, "SCANS_A_PAGE", 4)
    cut_off(bids)
    (tmp_path / "2").mkdir()
    for name in ("audit-9.html", "audit-notes.html"):
        (tmp_path / "2" / name).touch()
    one, two = (write_audit(find(bids), tmp_path / str(jobs), jobs) for jobs in (1, 2))
    pd.testing.assert_frame_equal(one, two)
    assert list(one["status"]) == ["ok", "ok", "excluded", "ok", "ok", "ok"]
    pages = [(tmp_path / "2" / name).read_text() for name in ("audit.html", "audit-2.html")]
    assert [page.count("<figure") for page in pages] == [4, 2] and 'href="audit-2.html"' in pages[0]
    assert "5 of 6 scans can be used" in pages[0]
    assert {path.name for path in (tmp_path / "2").glob("audit-*")} == {"audit-2.html", "audit-notes.html"}


@pytest.mark.parametrize("codes", ["RAS", "LPI", "PIR"])
@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_preparation_keeps_the_place_in_the_world(codes, kind, tmp_path):
    """Any storage order and type gives the same RAS volume: a bright voxel stays at its world millimetres."""
    values, label = head(0)
    values[30, 20, 10] = 3000
    turn = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(codes))
    turned = nib.Nifti1Image(values.astype(kind), np.diag([MM, MM, MM, 1])).as_reoriented(turn)
    found = prepare.isotropic(turned, MM)
    assert "".join(nib.aff2axcodes(found.affine)) == "RAS"
    brightest = np.unravel_index(found.get_fdata().argmax(), found.shape)
    assert np.allclose(found.affine @ [*brightest, 1], [60, 40, 20, 1])
    scaled = prepare.unit_range(found.get_fdata(dtype=np.float32))
    assert scaled.min() >= 0 and scaled.max() == 1


def test_prepared_batch_keeps_volumes_and_names_where_labels_come_from(bids, tmp_path):
    scans = find(bids).assign(role="test").head(2)
    folder = tmp_path / "batch"
    folder.mkdir()
    prepare.prepare_scans(scans, tmp_path / "no-atlas-needed", folder, **PREPARED)
    table = pd.read_csv(folder / "subjects.tsv", sep="\t")
    assert list(table["label_source"]) == ["provided"] * 2
    made = nib.load(folder / table["dseg"][0])
    assert np.allclose(nib.affines.voxel_sizes(made.affine), 4)
    grey_ml = (np.asanyarray(made.dataobj) == 2).sum() * 4**3 / 1000
    assert grey_ml == pytest.approx((head(0)[1] == 2).sum() * MM**3 / 1000, rel=0.05)


def test_a_batch_that_was_killed_does_not_label_a_finished_scan_again(bids, tmp_path, monkeypatch):
    """Nor does one that is made again; other settings, another scan or a damaged file do."""
    scans = find(bids).assign(role="test", dseg="").head(2)
    labelled, killed_at = [], {2}
    affine = np.diag([1.0, 1, 1, 1])
    monkeypatch.setattr(prepare, "read_atlas", lambda folder: TOY_ATLAS)

    def label(file, atlas, registration_mm):
        labelled.append(int(np.asanyarray(file.dataobj).sum()))
        if len(labelled) in killed_at:
            raise SystemExit(143)
        parts = np.random.default_rng(len(labelled)).dirichlet([1, 1.3, 1, 1], (100, 100, 100)).astype(np.float32)
        return [nib.Nifti1Image(parts[..., place], affine) for place in range(3)]

    monkeypatch.setattr(prepare, "classical_fractions", label)

    def made(name, **changes):
        folder = tmp_path / name
        folder.mkdir()
        prepare.prepare_scans(scans, bids, folder, **(PREPARED | {"cache": tmp_path / "cache"} | changes))
        return {path.name: path.read_bytes() for path in folder.glob("*_dseg.nii.gz")}

    with pytest.raises(SystemExit):
        made("killed")
    first = made("next")
    assert len(first) == 2 and len(labelled) == 3 and labelled[1] == labelled[2] != labelled[0]
    assert made("again") == first and len(labelled) == 3
    next((tmp_path / "cache").iterdir()).write_bytes(b"damaged")
    made("damaged")
    assert len(labelled) == 4
    made("other", registration_mm=3.0)
    assert len(labelled) == 6


def test_a_classical_label_of_an_implausible_volume_costs_its_subject_and_no_one_else(
    bids, tmp_path, monkeypatch, caplog
):
    write(bids, "sub-01", 11, name="acq-other_T1w")
    roles = ["train", "test", "test", "train", "train", "validation", "validation"]
    scans = find(bids).assign(role=roles, dseg="")
    monkeypatch.setattr(prepare, "read_atlas", lambda folder: TOY_ATLAS)

    def label(file, atlas, registration_mm):
        """Half of the head is grey matter, but for sub-01 nothing is."""
        parts = np.zeros((3, 50, 50, 50), np.float32)
        parts[1, :25] = not np.array_equal(file.dataobj, head(1)[0])
        return [nib.Nifti1Image(part, file.affine) for part in parts]

    monkeypatch.setattr(prepare, "classical_fractions", label)
    folder = tmp_path / "cohort/batch-0"
    folder.mkdir(parents=True)
    prepare.prepare_scans(scans, bids, folder, **(PREPARED | {"cache": tmp_path / "cache"}))
    reason = f"The classical label of {bids}/sub-01/anat/sub-01_T1w.nii.gz has 0 ml of grey matter, outside 300 to 1100"
    assert f"Subject sub-01 is left out: {reason}" in caplog.text
    with pytest.raises(InputError, match=f"No test subject is left: {reason}"):
        write_manifest([folder], tmp_path / "cohort/manifest.tsv")
    subjects = pd.read_csv(folder / "subjects.tsv", sep="\t")
    subjects.loc[0, "role"] = "test"
    subjects.to_csv(folder / "subjects.tsv", sep="\t", index=False)
    caplog.clear()
    write_manifest([folder], tmp_path / "cohort/manifest.tsv")
    found = read_manifest(tmp_path / "cohort/manifest.tsv")
    assert sorted(found["subject"]) == ["sub-00", "sub-02", "sub-03", "sub-04", "sub-05"] and reason in caplog.text


def test_whatever_ants_says_of_a_scan_names_it(bids, tmp_path, monkeypatch):
    def label(file, atlas, registration_mm):
        raise RuntimeError("itk::ERROR: all samples map outside the moving image")

    monkeypatch.setattr(prepare, "read_atlas", lambda folder: TOY_ATLAS)
    monkeypatch.setattr(prepare, "classical_fractions", label)
    (tmp_path / "batch").mkdir()
    scans = find(bids).assign(role="test", dseg="").head(1)
    with pytest.raises(
        InputError, match=r"sub-00_T1w.nii.gz cannot be labelled \(itk::ERROR: all samples.*: look at the scan"
    ):
        prepare.prepare_scans(scans, bids, tmp_path / "batch", **(PREPARED | {"cache": tmp_path / "cache"}))


def test_a_prepared_map_goes_back_onto_the_native_grid(tmp_path):
    """From an oblique scan of thick slices stored left to right backwards, by the two affines alone."""
    values, label = head(0)
    tilt = nib.eulerangles.euler2mat(0.2, 0.1, -0.15)
    affine = nib.affines.from_matvec(tilt @ np.diag([-MM, MM, 1.5 * MM]), [60, -40, -80])
    label = label[:, :, ::2].copy()  # squeezed along the slices: still one body, of unequal axes
    path = write(tmp_path, "sub-01", 0, values=values[:, :, ::2], label=label, affine=affine)
    nib.save(nib.Nifti1Image(label, affine), path.with_name("sub-01_dseg.nii.gz"))
    scans = find(tmp_path).assign(role="test")
    folder = tmp_path / "batch"
    folder.mkdir()
    prepare.prepare_scans(scans, tmp_path / "no-atlas", folder, **(PREPARED | {"spacing_mm": MM}))
    row = pd.read_csv(folder / "subjects.tsv", sep="\t").iloc[0]
    prepared, native = nib.load(folder / row["dseg"]), nib.load(row["source"])
    back = nib.processing.resample_from_to(prepared, native, order=0)
    assert back.shape == native.shape and np.allclose(back.affine, native.affine)
    assert dice(np.asanyarray(back.dataobj) == 2, label == 2) > 0.95
    shifted = nib.Nifti1Image(np.roll(np.asanyarray(back.dataobj), 2, axis=0), affine)
    assert dice(np.asanyarray(shifted.dataobj) == 2, label == 2) < 0.95  # which two voxels beside it would not be


def test_freesurfer_values_become_tissues():
    values = np.array([0, 4, 3, 42, 10, 53, 2, 41, 16, 1005, 2035])
    assert aseg.to_tissues(values).tolist() == [0, 1, 2, 2, 2, 2, 3, 3, 3, 2, 2]
    assert aseg.is_aseg(values) and not aseg.is_aseg(np.array([0, 2, 99]))


def test_batches_become_the_manifest_that_training_reads(bids):
    scans = splits.chosen(admitted(bids), splits.split(admitted(bids), SHARES, None, seed=1))
    folders = [bids / "cohort" / f"batch-{batch}" for batch in range(7)]  # one more than there are scans
    for batch, folder in enumerate(folders):
        folder.mkdir(parents=True)
        prepare.prepare_scans(scans.iloc[batch::7], bids, folder, **PREPARED)
    write_manifest(folders, bids / "cohort" / "manifest.tsv")
    found = read_manifest(bids / "cohort" / "manifest.tsv")
    assert sorted(found["subject"]) == [f"sub-{number:02d}" for number in range(6)]
    assert dict(zip(found["subject"], found["role"], strict=True)) == dict(
        zip(scans["subject"], scans["role"], strict=True)
    )
