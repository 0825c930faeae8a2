import json
import os

import pytest

from decoupled_qc.apply.inputs import expand_patterns, find_inputs, no_scan_in
from decoupled_qc.errors import InputError


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def names(inputs):
    return [(one.scan, one.folder) for one in inputs]


def test_a_bids_dataset_gives_its_t1_scans_under_bids_names(tmp_path):
    data = tmp_path / "data"
    touch(data / "dataset_description.json")
    touch(data / "sub-01" / "anat" / "sub-01_T1w.nii.gz")
    touch(data / "sub-01" / "anat" / "sub-01_T2w.nii.gz")
    touch(data / "sub-02" / "ses-a" / "anat" / "sub-02_ses-a_acq-mprage_run-2_T1w.nii")
    touch(data / "derivatives" / "sub-01" / "anat" / "sub-01_T1w.nii.gz")
    assert names(find_inputs([data], tmp_path / "out", {})) == [
        ("sub-01", "sub-01/anat"),
        ("sub-02_ses-a_acq-mprage_run-2", "sub-02/ses-a/anat"),
    ]


def test_any_other_folder_is_searched_but_for_hidden_files_the_results_and_loops(tmp_path):
    folder = tmp_path / "folder"
    kept = [touch(folder / name) for name in ("a.nii", "b/deep/c.nii.gz", "b/d.mgz")]
    for name in (".hidden.nii", "b/.partial-12345678-c.nii.gz", "notes.txt", "out/a/a_desc-gm_dseg.nii.gz"):
        touch(folder / name)
    (folder / "b" / "up").symlink_to(folder)
    (folder / "self.nii").symlink_to(folder / "self.nii")
    found = find_inputs([folder], folder / "out", {})
    assert [one.path for one in found if one.scan != "self"] == [kept[0], kept[2], kept[1]]
    assert [one.scan for one in found] == [
        "a",
        "d",
        "c",
        "self",
    ]  # a link to itself gets a row that says it is not there
    assert not next(one for one in found if one.scan == "self").path.is_file()


def test_results_of_another_call_are_not_searched_for_scans(tmp_path):
    kept = touch(tmp_path / "a.nii")
    touch(tmp_path / "earlier" / "a" / "a_desc-gm_dseg.nii.gz")
    about = {"Name": "x", "BIDSVersion": "1.10.0", "GeneratedBy": [{"Name": "decoupled-qc"}]}
    (tmp_path / "earlier" / "dataset_description.json").write_text(json.dumps(about))
    assert [one.path for one in find_inputs([tmp_path], tmp_path / "out", {})] == [kept]


def test_no_scan_has_the_name_of_a_file_of_the_results_or_of_another_scan_in_other_case(tmp_path):
    files = [touch(tmp_path / name) for name in ("a/Scan.nii", "b/scan.nii", "predictions.csv.nii", "index.html.nii")]
    names = [one.scan for one in find_inputs(files, tmp_path / "out", {})]
    assert names[0] == "Scan" and names[1].startswith("scan-")
    assert names[2].startswith("predictions.csv-") and names[3].startswith("index.html-")


def test_names_are_safe_whatever_the_file_is_called(tmp_path):
    wild = [
        "my scan.nii",
        'it\'s "that".nii',
        "<img src=x onerror=alert(1)>.nii",
        "..nii",
        "äöü.nii",
        "a" * 200 + ".nii",
    ]
    for one in find_inputs([touch(tmp_path / name) for name in wild], tmp_path / "out", {}):
        assert set(one.scan) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
        assert one.folder == one.scan and 0 < len(one.scan) <= 100 and one.scan.strip(".") == one.scan
        assert (tmp_path / "out" / one.folder).resolve().is_relative_to((tmp_path / "out").resolve())


def test_two_files_of_one_name_are_two_scans_and_one_file_given_twice_is_one(tmp_path):
    first, second = touch(tmp_path / "a" / "scan.nii"), touch(tmp_path / "b" / "scan.nii")
    link = tmp_path / "link.nii"
    link.symlink_to(first)
    found = find_inputs([first, second, first, link], tmp_path / "out", {})
    assert [one.path for one in found] == [first, second]
    assert found[0].scan == "scan" and found[1].scan.startswith("scan-") and found[1].folder == found[1].scan


def test_a_scan_keeps_the_name_of_an_earlier_call_and_no_other_gets_it(tmp_path):
    first, second = touch(tmp_path / "a" / "scan.nii"), touch(tmp_path / "b" / "scan.nii")
    earlier = {str(one.path): one.scan for one in find_inputs([first], tmp_path / "out", {})}
    later = find_inputs([second, first], tmp_path / "out", earlier)
    assert later[1].scan == "scan" and later[0].scan != "scan"
    again = find_inputs([second], tmp_path / "out", {**earlier, str(second): later[0].scan})
    assert again[0].scan == later[0].scan


@pytest.mark.parametrize("name", ["../../evil", "/evil", "", ".."])
def test_a_name_that_leaves_the_folder_is_not_taken_over(tmp_path, name):
    scan = touch(tmp_path / "scan.nii")
    (found,) = find_inputs([scan], tmp_path / "out", {str(scan): name})
    assert found.scan == found.folder == "scan"


def test_the_same_relative_name_elsewhere_is_another_scan(tmp_path, monkeypatch):
    touch(tmp_path / "a" / "scan.nii"), touch(tmp_path / "b" / "scan.nii")
    monkeypatch.chdir(tmp_path / "a")
    (first,) = find_inputs(["scan.nii"], tmp_path / "out", {})
    monkeypatch.chdir(tmp_path / "b")
    (second,) = find_inputs(["scan.nii"], tmp_path / "out", {str(first.path): first.scan})
    assert first.scan == "scan" and second.scan != "scan"


def test_what_holds_no_scan_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty holds no file that ends in .nii.gz, .nii, .mgz"):
        find_inputs([tmp_path / "empty"], tmp_path / "out", {})
    touch(tmp_path / "bids" / "dataset_description.json")
    with pytest.raises(InputError, match="bids holds no T1-weighted scan"):
        find_inputs([tmp_path / "bids"], tmp_path / "out", {})
    with pytest.raises(InputError, match="empty holds no file"):
        find_inputs([tmp_path / "empty", tmp_path / "bids"], tmp_path / "out", {})


def test_a_folder_without_scans_stops_no_other(tmp_path):
    (tmp_path / "empty").mkdir()
    scan = touch(tmp_path / "a.nii")
    found = find_inputs([tmp_path / "empty", scan], tmp_path / "out", {})
    assert [one.path for one in found] == [tmp_path / "empty", scan]
    assert no_scan_in(tmp_path / "empty").startswith(f"{tmp_path / 'empty'} holds no file that ends in .nii.gz")


def test_patterns_and_lists(tmp_path):
    files = [str(touch(tmp_path / "data" / f"{i}.nii")) for i in range(3)]
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join(files[:2]) + "\n\n")
    assert expand_patterns([os.path.join(tmp_path, "**", "*.nii")]) == files
    assert expand_patterns([str(listed)]) == files[:2]
    with pytest.raises(InputError, match="apply.inputs"):
        expand_patterns([str(tmp_path / "*.mgz")])
