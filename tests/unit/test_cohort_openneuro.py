"""Fetching a data set from OpenNeuro's bucket, against a real S3 server on loopback."""

import hashlib
import json
import re
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pandas as pd
import pytest
from bucket import MEETING, serve

from decoupled_qc.cohort import openneuro
from decoupled_qc.errors import InputError, sentence

INCLUDE = ["sub-*/anat/*_T1w.nii.gz", "derivatives/scores.tsv"]
SCANS = {
    f"sub-{n:02d}/anat/sub-{n:02d}_acq-{kind}_T1w.nii.gz": hashlib.sha256(f"{n}{kind}".encode()).digest() * 4000
    for n in range(2)
    for kind in ("standard", "headmotion1")
}
ABOUT = {"DatasetDOI": "doi:10/openneuro.ds000001.v1.0.2", "License": "CC0"}
DESCRIPTION = "ds000001/dataset_description.json"
ONE = "sub-01/anat/sub-01_acq-standard_T1w.nii.gz"


@pytest.fixture(scope="module")
def served():
    others = {
        "dataset_description.json": json.dumps(ABOUT).encode(),
        "derivatives/scores.tsv": b"a table",
        "large.bin": b"not asked for",
    }
    with serve() as bucket:
        for path, body in {**SCANS, **others}.items():
            bucket.put(f"ds000001/{path}", body)
        yield bucket


@pytest.fixture
def bucket(served, monkeypatch):
    served.faults.clear()
    served.seen.clear()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", served.url)
    monkeypatch.setattr(openneuro.time, "sleep", lambda _: None)
    return served


def fetch(folder, **changes):
    asked = {"dataset": "ds000001", "version": "1.0.2", "include": INCLUDE, "licence": "CC0", "subjects": None}
    return openneuro.fetch(**{**asked, **changes}, folder=folder)


def whole(folder):
    """Return the scans that are there, all right to the byte."""
    found = {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.nii.gz") if path.name[0] != "."
    }
    assert all(SCANS[name] == body for name, body in found.items())
    return set(found)


def test_what_is_asked_for_comes_whole_and_once(bucket, tmp_path, caplog):
    caplog.set_level("INFO")
    table = fetch(tmp_path)
    assert whole(tmp_path) == set(SCANS) and not (tmp_path / "large.bin").exists()
    assert "licence CC0: 6 files, of which 6" in caplog.text
    assert dict(zip(table["path"], table["sha256"], strict=True))[ONE] == hashlib.sha256(SCANS[ONE]).hexdigest()
    bucket.seen.clear()
    pd.testing.assert_frame_equal(fetch(tmp_path), table)
    assert [name for name, _ in bucket.seen if name.endswith(".nii.gz")] == []


def test_licence_and_size_are_told_at_a_terminal_before_any_scan_is_fetched(bucket, tmp_path, monkeypatch, capsys):
    large = "ds000001/sub-02/anat/sub-02_acq-standard_T1w.nii.gz"
    bucket.put(large, bytes(29_000_000))
    asked = []
    monkeypatch.setattr(sys.stderr, "isatty", lambda: asked.append(bucket.gets(ONE)) or True, raising=False)
    try:
        fetch(tmp_path)
    finally:
        bucket.client.delete_object(Bucket="openneuro.org", Key=large)
    assert f"ds000001 1.0.2, licence CC0: 7 files, of which 7 (0.03 GB) are to be fetched to {tmp_path}\n" in (
        capsys.readouterr().err
    )
    assert asked == [[]]


def test_another_licence_than_the_data_sets_own_is_warned_of(bucket, tmp_path, caplog):
    caplog.set_level("INFO")
    fetch(tmp_path)
    assert "names the licence" not in caplog.text
    fetch(tmp_path, licence="PDDL")
    assert "ds000001 itself names the licence CC0, not PDDL: read its terms, and correct config key" in caplog.text


def test_a_file_without_an_md5_is_warned_of_the_first_time(bucket, tmp_path, caplog):
    place = {"Bucket": "openneuro.org", "Key": "ds000001/sub-00/anat/sub-00_acq-parts_T1w.nii.gz"}
    upload = {**place, "UploadId": bucket.client.create_multipart_upload(**place, ACL="public-read")["UploadId"]}
    part = bucket.client.upload_part(**upload, PartNumber=1, Body=b"in parts")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    bucket.client.complete_multipart_upload(**upload, MultipartUpload=parts)
    try:
        fetch(tmp_path)
        warning = "sub-00_acq-parts_T1w.nii.gz was uploaded in parts and has no MD5: this first time only its size is checked."
        assert caplog.text.count("was uploaded in parts") == 1 and warning in caplog.text
        caplog.clear()
        fetch(tmp_path)
        assert "was uploaded in parts" not in caplog.text
    finally:
        bucket.client.delete_object(**place)


def test_only_the_first_subjects(bucket, tmp_path):
    fetch(tmp_path, subjects=1)
    assert whole(tmp_path) == {path for path in SCANS if path.startswith("sub-00/")}
    assert (tmp_path / "derivatives/scores.tsv").exists()


def test_a_connection_cut_in_mid_file_is_gone_on_with(bucket, tmp_path):
    bucket.faults[ONE] = ["cut", "cut"]
    fetch(tmp_path)
    assert whole(tmp_path) == set(SCANS)
    size = len(SCANS[ONE])
    assert bucket.gets(ONE) == [None, f"bytes={size // 2}-", f"bytes={size // 2 + size // 4}-"]


def test_a_fetch_that_was_killed_in_mid_file_is_gone_on_with(bucket, tmp_path):
    bucket.faults[ONE] = ["stall"]
    call = "import sys; from pathlib import Path; from decoupled_qc.cohort import openneuro; openneuro.CHUNK_BYTES = 1024; "
    call += f"openneuro.fetch('ds000001', '1.0.2', {INCLUDE}, Path(sys.argv[1]), licence='CC0', subjects=None)"
    partial = (tmp_path / ONE).with_name(f".partial-{Path(ONE).name}")
    bucket.stalled.clear()
    process = subprocess.Popen([sys.executable, "-c", call, str(tmp_path)])
    try:
        while not (partial.exists() and partial.stat().st_size):
            assert process.poll() is None
            threading.Event().wait(0.02)
    finally:
        process.kill()
        process.wait()
        bucket.stalled.set()
    have = partial.stat().st_size
    bucket.seen.clear()
    fetch(tmp_path)
    assert whole(tmp_path) == set(SCANS) and bucket.gets(ONE) == [f"bytes={have}-"] and 0 < have < len(SCANS[ONE])


def test_a_bucket_that_is_too_busy_costs_no_byte_that_has_come(bucket, tmp_path):
    bucket.faults[ONE] = ["cut", *["busy"] * 3]
    fetch(tmp_path)
    assert whole(tmp_path) == set(SCANS)
    assert bucket.gets(ONE) == [None, *[f"bytes={len(SCANS[ONE]) // 2}-"] * 4]


def test_a_full_disk_is_no_broken_connection(bucket, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError) as refusal:
            fetch(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert re.search(
        r"\.partial-sub-0.*T1w.nii.gz cannot be written, the disk or your quota is full", sentence(refusal.value)
    )


def test_what_was_fetched_before_the_disk_was_full_stays_and_the_rest_is_gone_on_with(bucket, tmp_path):
    last, body = "sub-02/anat/sub-02_acq-standard_T1w.nii.gz", hashlib.sha256(b"large").digest() * 8000
    bucket.put(f"ds000001/{last}", body)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, limits[1]))  # more than any other has
    try:
        with pytest.raises(OSError, match=re.escape(f".partial-{Path(last).name}")):
            fetch(tmp_path)
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert whole(tmp_path) == set(SCANS)
        have = (tmp_path / last).with_name(f".partial-{Path(last).name}").stat().st_size
        bucket.seen.clear()
        fetch(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        bucket.client.delete_object(Bucket="openneuro.org", Key=f"ds000001/{last}")
    assert (tmp_path / last).read_bytes() == body
    assert [seen for seen in bucket.seen if seen[0].endswith(".nii.gz")] == [(last, f"bytes={have}-")] and have


def test_a_disk_that_is_too_small_is_told_before_any_scan_is_fetched(bucket, tmp_path, monkeypatch):
    large = "ds000001/sub-02/anat/sub-02_acq-standard_T1w.nii.gz"
    bucket.put(large, bytes(60_000_000))
    usage = openneuro.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(openneuro.shutil, "disk_usage", lambda _: usage._replace(free=60_000_000))
    try:
        with pytest.raises(InputError, match=rf"^{tmp_path} has less than 0.1 GB free: make room, or lower config key"):
            fetch(tmp_path)
        assert not bucket.gets(ONE) and not whole(tmp_path)
        fetch(tmp_path, subjects=2)
    finally:
        bucket.client.delete_object(Bucket="openneuro.org", Key=large)
    assert whole(tmp_path) == set(SCANS)


def test_several_files_are_fetched_at_once(bucket, tmp_path):
    bucket.meeting.reset()
    bucket.faults |= {path: ["meet"] for path in list(SCANS)[:MEETING]}
    fetch(tmp_path)
    assert not bucket.meeting.broken and whole(tmp_path) == set(SCANS)


def test_a_fetch_that_gave_up_is_gone_on_with(bucket, tmp_path):
    bucket.faults[ONE] = ["cut"] * openneuro.TRIES
    with pytest.raises(InputError, match=rf"1 of 6 files of ds000001 could not be fetched, the first {ONE}.*run again"):
        fetch(tmp_path)
    assert whole(tmp_path) == set(SCANS) - {ONE}
    have = (tmp_path / ONE).with_name(f".partial-{Path(ONE).name}").stat().st_size
    bucket.seen.clear()
    fetch(tmp_path)
    assert whole(tmp_path) == set(SCANS)
    assert [seen for seen in bucket.seen if seen[0].endswith(".nii.gz")] == [(ONE, f"bytes={have}-")] and have


def test_a_corrupted_object_is_fetched_again(bucket, tmp_path):
    bucket.faults[ONE] = ["altered"]
    fetch(tmp_path)
    assert whole(tmp_path) == set(SCANS) and bucket.gets(ONE) == [None, None]


def test_an_object_that_stays_corrupted_is_never_taken(bucket, tmp_path):
    bucket.faults[ONE] = ["altered"] * openneuro.TRIES
    with pytest.raises(InputError, match="its MD5 is not the bucket's, 5 times"):
        fetch(tmp_path)
    assert whole(tmp_path) == set(SCANS) - {ONE}


def test_a_missing_object_is_named_and_the_others_kept(bucket, tmp_path):
    bucket.faults[ONE] = ["lost"]
    with pytest.raises(InputError, match=rf"{ONE} \(the bucket lists it but does not give it: NoSuchKey\)"):
        fetch(tmp_path)
    assert whole(tmp_path) == set(SCANS) - {ONE}


def test_a_file_that_was_damaged_on_disk_is_fetched_again(bucket, tmp_path):
    fetch(tmp_path)
    (tmp_path / ONE).write_bytes(SCANS[ONE][:-1] + b"?")
    fetch(tmp_path)
    assert whole(tmp_path) == set(SCANS)


def test_a_file_that_changed_in_the_bucket_stops(bucket, tmp_path):
    fetch(tmp_path)
    bucket.put(f"ds000001/{ONE}", b"another scan")
    with pytest.raises(InputError, match=f"{ONE} of ds000001 has changed in OpenNeuro's bucket"):
        fetch(tmp_path)
    assert whole(tmp_path) == set(SCANS)
    bucket.put(f"ds000001/{ONE}", SCANS[ONE])


def test_another_version_and_nothing_asked_for_stop(bucket, tmp_path):
    with pytest.raises(InputError, match=r"another version of ds000001 than 2.0.0 \(its DOI is .*v1.0.2"):
        fetch(tmp_path, version="2.0.0")
    with pytest.raises(InputError, match=r"holds no file like sub-\*/func/\*: correct it in config key"):
        fetch(tmp_path, include=[*INCLUDE, "sub-*/func/*"])
    assert not whole(tmp_path)
    with pytest.raises(InputError, match="has no data set ds000009"):
        fetch(tmp_path, dataset="ds000009")


def test_a_new_version_whose_scans_are_the_same_costs_its_description_alone(bucket, tmp_path):
    fetch(tmp_path)
    bucket.put(DESCRIPTION, json.dumps(ABOUT | {"DatasetDOI": "doi:10/openneuro.ds000001.v1.0.3"}).encode())
    bucket.seen.clear()
    try:
        with pytest.raises(InputError, match="another version of ds000001 than 1.0.2 .*set config key"):
            fetch(tmp_path)
        fetch(tmp_path, version="1.0.3")
    finally:
        bucket.put(DESCRIPTION, json.dumps(ABOUT).encode())
    assert "v1.0.3" in (tmp_path / "dataset_description.json").read_text() and whole(tmp_path) == set(SCANS)
    assert not [name for name, _ in bucket.seen if name.endswith(".nii.gz")]


def test_a_data_set_without_a_doi_is_fetched_by_no_version_alone(bucket, tmp_path, caplog):
    bucket.put(DESCRIPTION, b"{}")
    try:
        with pytest.raises(InputError, match=r"its DOI is ''.* or to null if it names none"):
            fetch(tmp_path)
        fetch(tmp_path, version=None)
    finally:
        bucket.put(DESCRIPTION, json.dumps(ABOUT).encode())
    assert whole(tmp_path) == set(SCANS) and "nothing pins its version" in caplog.text


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (json.dumps(ABOUT).encode()[:-9], "is not valid JSON"),
        (b"", "is not valid JSON"),
        (b"\xff\xfe\x00", "is not valid JSON"),
        (b"[" * 100_000, "is not valid JSON"),
        (b"[]", "no JSON object"),
        (b'{"DatasetDOI": 7}', "another version of ds000001 than 1.0.2 .its DOI is '7'"),
    ],
)
def test_a_description_that_describes_nothing_is_one_sentence(bucket, tmp_path, body, told):
    bucket.put(DESCRIPTION, body)
    try:
        with pytest.raises(InputError, match=rf"{told}.*set config key cohort.scans.fetch") as refusal:
            fetch(tmp_path / "data")
    finally:
        bucket.put(DESCRIPTION, json.dumps(ABOUT).encode())
    assert "\n" not in str(refusal.value) and not (tmp_path / "data").exists()


def test_a_description_cut_on_its_way_is_one_sentence(bucket, tmp_path):
    bucket.faults["dataset_description.json"] = ["cut"] * 9
    with pytest.raises(InputError, match=r"cannot be read for ds000001 .*: go online, or set config key"):
        fetch(tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_offline_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    with pytest.raises(InputError, match=r"cannot be read for ds000001 .*: go online, or set config key") as refusal:
        fetch(tmp_path / "data")
    assert "\n" not in str(refusal.value) and not (tmp_path / "data").exists()
