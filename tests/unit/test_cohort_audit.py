"""What is wrong with a scan: found, told, and shown on the page."""

import base64
import io
import re

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import ndimage
from toy_cohort import MM, admitted, cut_off, find, head, reasons, write

from decoupled_qc import cli
from decoupled_qc.cohort import audit as audit_command
from decoupled_qc.cohort import audit_page
from decoupled_qc.cohort.audit import write_audit


def one_voxel(value):
    """Return what writes a scan of which one voxel has a value."""

    def damage(folder):
        values = head(2)[0].astype(np.float32)
        values[0, 0, 0] = value
        write(folder, "sub-02", 2, values=values)

    return damage


def voxels_of(size_mm):
    """Return what writes a scan and its label, which fits it, with voxels of a size."""

    def damage(folder):
        path = write(folder, "sub-02", 2, affine=np.diag([size_mm] * 3 + [1]))
        nib.save(nib.Nifti1Image(head(2)[1], np.diag([size_mm] * 3 + [1])), path.with_name("sub-02_dseg.nii.gz"))

    return damage


def cut_label(folder):
    path = folder / "sub-02" / "anat" / "sub-02_dseg.nii.gz"
    path.write_bytes(path.read_bytes()[:-500])


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


def without_orientation(folder):
    path = folder / "sub-02" / "anat" / "sub-02_T1w.nii.gz"
    file = nib.load(path)
    file.set_sform(file.affine, code=0)
    file.set_qform(file.affine, code=0)
    nib.save(nib.Nifti1Image(np.asanyarray(file.dataobj).copy(), None, file.header), path)


DAMAGE = {
    "has a header without orientation \\(qform and sform code 0\\)": without_orientation,
    "has a qform that is no rotation .*: correct it, or set its code to 0": no_rotation,
    "NaN or infinite": one_voxel(np.nan),
    "voxels that are NaN or infinite \\(1\\)": one_voxel(np.inf),
    "sub-02_dseg.nii.gz cannot be read as a label": cut_label,
    "cannot be read to its end": cut_off,
    "mirror each other": mirrored,
    "is constant": lambda folder: write(folder, "sub-02", 2, values=np.zeros((50, 50, 50), np.int16)),
    "one volume with three axes": lambda folder: write(folder, "sub-02", 2, values=np.ones((50, 50, 50, 2), np.int16)),
    "cannot be read as an image": lambda folder: (folder / "sub-02/anat/sub-02_T1w.nii.gz").write_bytes(b"no scan"),
    "voxels of 5 x 5 x 5 mm": lambda folder: write(folder, "sub-02", 2, affine=np.diag([5, 5, 5, 1])),
    "voxels of 0.25 x 0.25 x 0.25 mm, outside 0.3": voxels_of(0.25),
    "has 1[0-9]{3} ml of grey matter, outside 300 to 1100 ml": voxels_of(3.0),
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


def test_only_the_picture_of_a_scan_with_a_label_has_an_outline(bids, tmp_path):
    (bids / "sub-02" / "anat" / "sub-02_dseg.nii.gz").unlink()
    write_audit(find(bids), tmp_path, 1)
    shown = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", (tmp_path / "audit.html").read_text())
    outlined = []
    for picture in shown:
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB"))
        assert pixels.max() > 0
        outlined.append(int((pixels == audit_page.OUTLINE_RGB).all(axis=-1).sum()))
    label = head(0)[1][:, :, 25] == 2  # the middle slice, shown at its own size
    edge = int((label & ~ndimage.binary_erosion(label)).sum())
    assert outlined == [edge, edge, 0, edge, edge, edge] and edge > 0


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
