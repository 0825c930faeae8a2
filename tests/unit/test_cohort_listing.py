"""What a source lists: BIDS folders, tables, fetched scans."""

import pandas as pd
import pytest
from toy_cohort import find

from decoupled_qc.cohort import sources
from decoupled_qc.errors import InputError


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
