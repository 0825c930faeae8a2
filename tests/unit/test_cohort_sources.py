"""Public cohorts as their archives unpack, in small: listed, audited and prepared with labels of their own kind."""

import nibabel as nib
import numpy as np
import pytest
from toy_cohort import audit, head

from decoupled_qc import cli
from decoupled_qc.cohort import prepare, sources
from decoupled_qc.cohort.label_values import as_tissues
from decoupled_qc.errors import InputError
from decoupled_qc.scans import read_scan

SEG4 = np.array([0, 4, 1, 3], np.uint8)  # csf, grey and white matter as Neurite-OASIS numbers them
MEANT = "1=grey 2=grey 3=white 4=csf"
NAMES = "0 Unknown 0 0 0 0\n1 Cortex 205 62 78 0\n2 Subcortical-Gray-Matter 230 148 34 0\n"
NAMES += "3 White-Matter 245 245 245 0\n4 CSF 60 60 60 0\n"
AFFINE = np.diag([2.0, 2, 2, 1])


def find(kind, path):
    return sources.find_scans(kind, str(path), ["*"], None)


def grey_voxels(scans, tmp_path):
    """Return how many voxels of prepared labels are grey matter, one number a scan."""
    out = tmp_path / "out"
    out.mkdir()
    settings = {"spacing_mm": 2.0, "registration_mm": 4.0, "best_rating": 1.0, "cache": tmp_path / "cache", "code": "x"}
    prepare.prepare_scans(scans.assign(role="train"), tmp_path, out, **settings)
    return [int((np.asarray(nib.load(path).dataobj) == 2).sum()) for path in sorted(out.glob("*_dseg.nii.gz"))]


@pytest.mark.parametrize("kind", ["bids", "table"])
def test_a_project_that_is_moved_with_its_scans_finds_them_unchanged(kind, tmp_path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    anat = here / "scans" / "sub-1" / "anat"
    anat.mkdir(parents=True)
    nib.save(nib.Nifti1Image(head(0)[0], AFFINE), anat / "sub-1_T1w.nii.gz")
    (here / "scans" / "list.tsv").write_text("subject\timage\nsub-1\tsub-1/anat/sub-1_T1w.nii.gz\n")
    path, listings = {"bids": "scans", "table": "scans/list.tsv"}[kind], []
    monkeypatch.chdir(here)
    listings.append(find(kind, path))
    before = sources.state_of(listings[0])
    here.rename(there)
    monkeypatch.chdir(there)
    listings.append(find(kind, path))
    assert sources.state_of(listings[1]) == before
    assert listings[0].equals(listings[1]) and audit(listings[1])["status"].tolist() == ["ok"]


def test_ixi_tells_person_and_hospital_and_has_no_labels(tmp_path):
    for name in ("IXI002-Guys-0828-T1", "IXI013-HH-1212-T1", "IXI013-HH-1212-T2", "IXI014-T1"):
        (tmp_path / "T1").mkdir(exist_ok=True)
        nib.save(nib.Nifti1Image(head(0)[0], AFFINE), tmp_path / "T1" / f"{name}.nii.gz")
    scans = find("ixi", tmp_path)
    assert scans["subject"].tolist() == ["sub-IXI002", "sub-IXI013"] and scans["site"].tolist() == ["Guys", "HH"]
    assert (scans["dseg"] == "").all() and audit(scans)["status"].tolist() == ["ok", "ok"]


def test_the_audit_command_takes_any_kind_of_source(tmp_path, capsys):
    nib.save(nib.Nifti1Image(head(0)[0], AFFINE), tmp_path / "IXI002-Guys-0828-T1.nii.gz")
    call = ["audit", str(tmp_path), "--out", str(tmp_path / "out")]
    assert cli.main([*call, "--source", "ixi"]) == 0 and "1 of 1 scans can be used" in capsys.readouterr().out
    assert cli.main(call) == 2 and "holds no scan named like" in capsys.readouterr().err


def test_oasis_1_pairs_analyze_heads_with_the_tissues_of_fast(tmp_path):
    for number, session in ((1, "MR1"), (2, "MR1"), (2, "MR2")):
        folder = tmp_path / "disc1" / f"OAS1_{number:04d}_{session}"
        stem = f"OAS1_{number:04d}_{session}_mpr_n4_anon_111_t88"
        image, label = head(number + 10 * int(session[-1]))
        files = {f"PROCESSED/MPRAGE/T88_111/{stem}_gfc": image, f"PROCESSED/MPRAGE/T88_111/{stem}_masked_gfc": image}
        files |= {f"FSL_SEG/{stem}_masked_gfc_fseg": label.astype(np.int16)} if number == 1 else {}
        for name, values in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            analyze = nib.AnalyzeImage(values[..., None], None)  # four axes, and a header without an orientation
            analyze.header.set_zooms((2, 2, 2, 1))
            nib.save(analyze, folder / f"{name}.hdr")
    scans = find("oasis1", tmp_path)
    assert scans["scan"].tolist() == [
        "sub-OAS10001_ses-MR1_T1w",
        "sub-OAS10002_ses-MR1_T1w",
        "sub-OAS10002_ses-MR2_T1w",
    ]
    assert scans["label_source"].tolist() == ["FSL FAST", "", ""]
    found = audit(scans)
    assert found["status"].tolist() == ["ok"] * 3 and set(found["orientation"]) == {"LAS"}
    assert grey_voxels(scans[:1], tmp_path) == [int((head(11)[1] == 2).sum())]


def test_neurite_oasis_says_by_a_file_what_its_labels_are(tmp_path):
    (tmp_path / "seg4_labels.txt").write_text(NAMES)
    for number, prefix in ((1, ""), (2, "aligned_")):
        folder = tmp_path / f"OASIS_OAS1_{number:04d}_MR1"
        folder.mkdir()
        image, label = head(number)
        nib.save(nib.Nifti1Image(image, AFFINE), folder / f"{prefix}orig.nii.gz")
        nib.save(nib.Nifti1Image(SEG4[label], AFFINE), folder / f"{prefix}seg4.nii.gz")
    scans = find("neurite_oasis", tmp_path)
    assert scans["subject"].tolist() == ["sub-OAS10001", "sub-OAS10002"] and set(scans["dseg_values"]) == {MEANT}
    assert audit(scans)["status"].tolist() == ["ok", "ok"]
    assert grey_voxels(scans, tmp_path) == [int((head(n)[1] == 2).sum()) for n in (1, 2)]
    (tmp_path / "seg4_labels.txt").write_text("7 Left-Thumb 1 2 3 0\n")
    with pytest.raises(InputError, match=r"seg4_labels.txt names label 7 'Left-Thumb', which is no tissue"):
        find("neurite_oasis", tmp_path)
    (tmp_path / "seg4_labels.txt").unlink()
    with pytest.raises(InputError, match=r"seg4_labels.txt is missing, which names the labels: unpack all"):
        find("neurite_oasis", tmp_path)


def test_a_table_explains_its_labels_and_what_it_does_not_explain_is_named(tmp_path):
    image, label = head(0)
    nib.save(nib.Nifti1Image(image, AFFINE), tmp_path / "a.nii.gz")
    nib.save(nib.Nifti1Image(SEG4[label], AFFINE), tmp_path / "l.nii.gz")
    table = tmp_path / "scans.csv"
    table.write_text(f"subject,image,dseg,dseg_values\nsub-1,a.nii.gz,l.nii.gz,{MEANT}\n")
    assert audit(find("table", table))["status"].tolist() == ["ok"]
    reasons = {
        "1=grey 3=white": "has the value 4, which dseg_values '1=grey 3=white' does not explain: add it.",
        "1=gray": "has '1=gray': give pairs such as 3=white, with one of background, csf, grey, white.",
        "": "has values that are neither tissues (0 to 3) nor FreeSurfer's, such as 99: explain them in dseg_values.",
    }
    for meanings, reason in reasons.items():
        values = SEG4[label] if meanings else np.where(label == 3, 99, label).astype(np.uint8)
        nib.save(nib.Nifti1Image(values, AFFINE), tmp_path / "l.nii.gz")
        table.write_text(f"subject,image,dseg,dseg_values\nsub-1,a.nii.gz,l.nii.gz,{meanings}\n")
        assert reason in audit(find("table", table))["reason"][0]
    assert as_tissues(table, SEG4, MEANT).tolist() == [0, 1, 2, 3]


def test_analyze_is_read_from_its_header_s_name_with_a_word_about_left_and_right(tmp_path, caplog):
    values = head(0)[0]
    nib.save(nib.AnalyzeImage(values, None), tmp_path / "a.hdr")
    scan = read_scan(tmp_path / "a.hdr")
    assert scan.image.shape == values.shape and "does not say where left is" in caplog.text
    assert np.array_equal(np.asarray(scan.file.dataobj), values)
    (tmp_path / "a.img").write_bytes(b"short")
    with pytest.raises(InputError, match="too few for the 50x50x50 voxels"):
        read_scan(tmp_path / "a.hdr")
    (tmp_path / "a.img").unlink()
    with pytest.raises(InputError, match=r"a.img is missing, which holds the voxels"):
        read_scan(tmp_path / "a.hdr")


BIDS_VALUES = np.array([0, 3, 1, 2], np.uint8)  # csf, grey and white matter as BIDS numbers them
BESIDE = "sub-01/anat/sub-01_dseg.tsv"


def bids_labels(folder, lookup=None, text=""):
    """Write a BIDS folder whose label has BIDS's numbers; return its listing."""
    anat = folder / "sub-01" / "anat"
    anat.mkdir(parents=True, exist_ok=True)
    image, label = head(1)
    nib.save(nib.Nifti1Image(image, AFFINE), anat / "sub-01_T1w.nii.gz")
    nib.save(nib.Nifti1Image(BIDS_VALUES[label], AFFINE), anat / "sub-01_dseg.nii.gz")
    if lookup is not None:
        (folder / lookup).write_text(text)
    return find("bids", folder)


@pytest.mark.parametrize(
    ("lookup", "text"),
    [
        ("dseg.tsv", "index\tname\n0\tBackground\n1\tGray Matter\n2\tWhite Matter\n3\tCerebrospinal Fluid\n"),
        (BESIDE, "index\tname\tabbreviation\n1\tcortex and below\tGM\n2\t\tWM\n3\t\tCSF\n11\tCerebellum\tCBM\n"),
        (BESIDE, "index\tname\tmapping\n1\tone\t1\n2\ttwo\t2\n3\tthree\t3\n"),
    ],
)
def test_bids_says_by_its_lookup_table_what_labels_are(lookup, text, tmp_path):
    scans = bids_labels(tmp_path, lookup, text)
    assert list(scans["dseg_values"]) == ["1=grey 2=white 3=csf"]
    assert audit(scans)["status"].tolist() == ["ok"]
    assert grey_voxels(scans, tmp_path) == [int((head(1)[1] == 2).sum())]


@pytest.mark.parametrize(
    ("scan", "label"),
    [
        ("sub-01_T1w.nii.gz", "sub-01_dseg.nii"),
        ("sub-01_T1w.nii", "sub-01_dseg.nii.gz"),
        ("sub-01_desc-preproc_T1w.nii.gz", "sub-01_dseg.nii.gz"),
        ("sub-01_desc-preproc_T1w.nii.gz", "sub-01_desc-preproc_dseg.nii.gz"),
    ],
)
def test_a_bids_label_is_found_beside_its_scan_and_others_are_counted(scan, label, tmp_path, caplog):
    caplog.set_level("INFO")
    anat = tmp_path / "sub-01" / "ses-1" / "anat"
    anat.mkdir(parents=True)
    for name in (scan, label, "sub-01_space-MNI_dseg.nii.gz", "sub-01_desc-aseg_dseg.nii.gz"):
        (anat / name).touch()
    assert find("bids", tmp_path)["dseg"].tolist() == [str(anat / label)]
    assert f"2 files *_dseg are the label of no scan by their names, the first {anat}/sub-01_desc-aseg" in caplog.text


def test_bids_labels_without_their_table_are_not_taken_for_ours(tmp_path):
    found = audit(bids_labels(tmp_path))
    assert found["status"].tolist() == ["excluded"]
    assert (
        "the label's values look like BIDS's" in found["reason"][0]
        and "set dseg_values to '1=grey" in found["reason"][0]
    )
    scans = bids_labels(tmp_path, "dseg.tsv", "index\tname\n2\tLeft-Cerebral-White-Matter\n")  # of structures
    assert list(scans["dseg_values"]) == [""]
    with pytest.raises(InputError, match=r"dseg.tsv has no column 'index': BIDS's lookup tables have index and name"):
        bids_labels(tmp_path, "dseg.tsv", "value\tname\n1\tGM\n")


def test_a_label_that_does_not_follow_its_scan_is_named_with_what_was_measured(tmp_path):
    image, label = head(0)
    nib.save(nib.Nifti1Image(900 - image, AFFINE), tmp_path / "a.nii.gz")  # as a T2-weighted scan
    nib.save(nib.Nifti1Image(label, AFFINE), tmp_path / "l.nii.gz")
    (tmp_path / "scans.csv").write_text("subject,image,dseg\nsub-1,a.nii.gz,l.nii.gz\n")
    reason = audit(find("table", tmp_path / "scans.csv"))["reason"][0]
    assert (
        "does not fit its scan" in reason and "csf 0." in reason and "do not rise from grey to white matter" in reason
    )


def test_a_scan_whose_csf_is_no_longer_darkest_stays(tmp_path):
    image, label = head(0)
    nib.save(nib.Nifti1Image(np.where(label == 1, 600, image).astype(image.dtype), AFFINE), tmp_path / "a.nii.gz")
    nib.save(nib.Nifti1Image(label, AFFINE), tmp_path / "l.nii.gz")
    (tmp_path / "scans.csv").write_text("subject,image,dseg\nsub-1,a.nii.gz,l.nii.gz\n")
    assert audit(find("table", tmp_path / "scans.csv"))["status"].tolist() == ["ok"]
