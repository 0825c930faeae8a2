import dataclasses
import gzip
import hashlib
import io
import stat
import tarfile
import zipfile
from pathlib import Path

import nibabel as nib
import pytest

from decoupled_qc.cohort import fetch
from decoupled_qc.cohort.absence import absence
from decoupled_qc.errors import InputError
from decoupled_qc.files import write_whole


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def source_archive(path: Path, **members: bytes) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(f"toy-1.0/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


@pytest.fixture
def downloads(tmp_path):
    folder = tmp_path / "downloads"
    folder.mkdir()
    return folder


@pytest.fixture
def toy(downloads, monkeypatch):
    """A head whose archive lies in the downloads folder."""
    archive = source_archive(downloads / "toy-1.0.tar.gz", scan=b"voxels", other=b"not needed")
    head = fetch.Head(archive.name, "toy==1.0", {"scan": "T1w.nii.gz"}, sha256(archive))
    monkeypatch.setitem(fetch.HEADS, "toy", head)
    return archive


def fetch_whole(name, downloads, target, optional=False):
    """Fetch as the rule does."""
    with write_whole(target) as folder:
        folder.mkdir()
        fetch.fetch_head(name, downloads, folder, optional=optional)
    return target


def nothing_left(folder):
    return not any(path.name.startswith(".partial") for path in folder.rglob("*"))


def without_network(monkeypatch, tmp_path):
    """Replace pip and apt-get by commands that fail as they do offline."""
    monkeypatch.setattr(fetch, "sys", type("Offline", (), {"executable": str(offline_command(tmp_path / "python"))}))
    offline_command(tmp_path / "apt-get")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")


def offline_command(path):
    path.write_text("#!/bin/sh\necho 'ERROR: No matching distribution found for toy==1.0' >&2\nexit 1\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return path


def test_a_file_in_the_downloads_folder_needs_no_network(toy, downloads, tmp_path, monkeypatch):
    without_network(monkeypatch, tmp_path)
    target = fetch_whole("toy", downloads, tmp_path / "heads" / "toy")
    assert {path.name: path.read_bytes() for path in target.iterdir()} == {"T1w.nii.gz": b"voxels"}


def test_a_wrong_file_is_named_with_both_hashes_and_leaves_nothing(toy, downloads, tmp_path):
    wanted = sha256(toy)
    source_archive(toy, scan=b"other voxels")
    with pytest.raises(InputError) as refusal:
        fetch_whole("toy", downloads, tmp_path / "heads" / "toy")
    assert str(toy) in str(refusal.value) and wanted in str(refusal.value) and sha256(toy) in str(refusal.value)
    assert not (tmp_path / "heads" / "toy").exists() and nothing_left(tmp_path)


def test_offline_says_what_is_missing_and_where_to_put_it(toy, downloads, tmp_path, monkeypatch):
    wanted = sha256(toy)
    toy.unlink()
    without_network(monkeypatch, tmp_path)
    with pytest.raises(InputError) as refusal:
        fetch_whole("toy", downloads, tmp_path / "heads" / "toy")
    message = str(refusal.value)
    assert str(toy) in message and wanted in message and "No matching distribution" in message and "\n" not in message
    assert not (tmp_path / "heads" / "toy").exists() and nothing_left(tmp_path)


def test_a_fetched_file_with_another_hash_is_refused(toy, downloads, tmp_path, monkeypatch):
    toy.unlink()

    def deliver(head, folder):
        source_archive(folder / "toy-1.0.tar.gz", scan=b"other voxels")

    monkeypatch.setattr(fetch, "_pip_download", deliver)
    with pytest.raises(InputError, match="sha256"):
        fetch_whole("toy", downloads, tmp_path / "heads" / "toy")
    assert not any(downloads.iterdir()) and not (tmp_path / "heads" / "toy").exists()


def test_an_optional_head_leaves_its_reason(downloads, tmp_path, monkeypatch, caplog):
    without_network(monkeypatch, tmp_path)
    target = fetch_whole("colin27", downloads, tmp_path / "heads" / "colin27", optional=True)
    assert [path.name for path in target.iterdir()] == ["ABSENT.txt"]
    assert "mricron-data.deb" in absence(target)
    assert "one anatomy less" in caplog.text


def test_without_apt_get_the_optional_head_is_absent(downloads, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch.shutil, "which", lambda name: None)
    target = fetch_whole("colin27", downloads, tmp_path / "heads" / "colin27", optional=True)
    assert "no apt-get" in absence(target)


def test_a_head_of_an_npm_package_is_unpacked_and_made_nifti(downloads, tmp_path, monkeypatch):
    header = b'{"order": ["xspace", "yspace", "zspace"], %s}' % b", ".join(
        b'"%s": {"start": 0, "space_length": 2, "step": 1, "direction_cosines": %s}' % axis
        for axis in ((b"xspace", b"[1, 0, 0]"), (b"yspace", b"[0, 1, 0]"), (b"zspace", b"[0, 0, 1]"))
    )
    real = fetch.HEADS["brainbrowser"]
    contents = dict(zip(real.members, (gzip.compress(header), gzip.compress(bytes(8))), strict=True))
    command = tmp_path / "npm"
    command.write_text(f"#!/bin/sh\ncp {source_archive(tmp_path / 'made.tgz', **contents)} toy-1.0.tgz\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    toy = dataclasses.replace(real, archive="toy-1.0.tgz", package="toy@1.0", sha256=sha256(tmp_path / "made.tgz"))
    monkeypatch.setitem(fetch.HEADS, "toy", toy)
    target = fetch_whole("toy", downloads, tmp_path / "heads" / "toy")
    assert nib.load(target / "T1w.nii.gz").shape == (2, 2, 2)


def test_without_npm_its_head_is_absent(downloads, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch.shutil, "which", lambda name: None)
    target = fetch_whole("brainbrowser", downloads, tmp_path / "heads" / "brainbrowser", optional=True)
    assert "no npm" in absence(target)


def test_a_cut_off_archive_is_one_sentence(toy, downloads, tmp_path, monkeypatch):
    toy.write_bytes(toy.read_bytes()[:60])
    cut_off = fetch.Head(toy.name, "toy==1.0", {"scan": "T1w.nii.gz"}, sha256(toy))
    monkeypatch.setitem(fetch.HEADS, "toy", cut_off)
    with pytest.raises(InputError, match="cannot be unpacked|lacks the file"):
        fetch_whole("toy", downloads, tmp_path / "heads" / "toy")
    assert not (tmp_path / "heads" / "toy").exists()


def test_paths_in_an_archive_are_not_followed(downloads, tmp_path, monkeypatch):
    archive = downloads / "toy.whl"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("scan", "voxels")
        file.writestr("../../escaped", "no")
    head = fetch.Head(archive.name, "toy==1.0", {"scan": "T1w.nii.gz"}, sha256(archive))
    monkeypatch.setitem(fetch.HEADS, "toy", head)
    target = fetch_whole("toy", downloads, tmp_path / "heads" / "toy")
    assert [path.name for path in target.iterdir()] == ["T1w.nii.gz"]
    assert not list(tmp_path.rglob("escaped*"))


def test_a_member_with_another_hash_is_refused(toy, downloads, tmp_path, monkeypatch):
    checked = fetch.Head(
        toy.name, "toy==1.0", {"scan": "T1w.nii.gz"}, sha256(toy), members_sha256={"T1w.nii.gz": "0" * 64}
    )
    monkeypatch.setitem(fetch.HEADS, "toy", checked)
    with pytest.raises(InputError, match="another T1w.nii.gz"):
        fetch_whole("toy", downloads, tmp_path / "heads" / "toy")


def test_unknown_head_is_named(downloads, tmp_path):
    with pytest.raises(InputError, match="unknown head 'nobody'"):
        fetch_whole("nobody", downloads, tmp_path / "heads" / "nobody")


@pytest.mark.network
@pytest.mark.parametrize("name", ["icbm152", "colin27"])
def test_real_heads_can_be_fetched(name, tmp_path):
    target = fetch_whole(name, tmp_path / "downloads", tmp_path / "heads" / name, optional=name == "colin27")
    reason = absence(target)
    if reason:
        pytest.skip(reason)
    assert {path.name for path in target.iterdir()} == set(fetch.HEADS[name].members.values())
