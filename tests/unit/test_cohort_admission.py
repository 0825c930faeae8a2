"""Which scans a run takes, and the role of each person."""

import re

import numpy as np
import pandas as pd
import pytest
from toy_cohort import ADMIT, MM, SHARES, admitted, audit, cut_off, find, head, write

from decoupled_qc.cohort import splits
from decoupled_qc.errors import InputError


def cohort(n, **columns):
    names = [f"sub-{number}" for number in range(n)]
    known = {"role": "", "is_clean": True, "is_rated": False}
    return pd.DataFrame({"subject": names, "scan": names, **known, **columns})


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
