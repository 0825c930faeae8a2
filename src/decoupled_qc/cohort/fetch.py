"""Real heads that ordinary packages and public repositories carry: fetched, checked, unpacked to the few files needed."""

import logging
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO
from urllib.error import URLError
from urllib.request import urlopen

from decoupled_qc.cohort import brainbrowser
from decoupled_qc.cohort.absence import mark_absent
from decoupled_qc.cohort.anatomies import LABELS
from decoupled_qc.errors import InputError
from decoupled_qc.files import sha256_of

log = logging.getLogger(__name__)

TIMEOUT_S = 600


@dataclass(frozen=True)
class Head:
    """Where a head comes from.

    Args:
        archive: Name of the file that holds it, as it can be put into the downloads folder by hand.
        package: Requirement for pip or npm, name of the Debian package, or the file's address.
        members: File in the archive (without its top folder, if it is a tar) → file in the head's folder.
        sha256: Of the archive; None where only the members are checked (a Debian package is rebuilt now and then).
        members_sha256: Of members, by their name in the head's folder.
        convert: Makes NIfTI of the members, given the head's folder; None where they are.
    """

    archive: str
    package: str
    members: dict[str, str]
    sha256: str | None = None
    members_sha256: dict[str, str] = field(default_factory=dict)
    convert: Callable[[Path], None] | None = None


def _surfaces() -> dict[str, str]:
    names = {"wm": "white", "pia": "pial"}
    return {
        f"filestore/db/S1/surfaces/{short}_{side}h.gii": f"hemi-{side.upper()}_{long}.gii"
        for short, long in names.items()
        for side in "lr"
    }


# Whole-head label maps of 14 people (Apache-2.0), of a fixed commit; without network, put the files into the downloads folder.
LABEL_MAPS = "https://raw.githubusercontent.com/BBillot/SynthSeg/3168fdf38ad220bd1927be43b67c5e9409a78ee7/data/training_label_maps/"
LABEL_MAPS_SHA256 = [
    "edbf1229a0552f8ce37438d02f59e810583b71b0a1b4d31dc38e5e2b2517acb1",
    "65e64c6b9415f389dfda5182ec3a269836925b04166ea82f47b230e54980d0a4",
    "f746e2f90e4dccd7bbbdc18bdd6374e455ddb7fc044504a0a42edc8507cf1aa0",
    "fbcf9d5d3b946dc53cff2e9954abb8c8172960ac35b1bf80c3ca240b4feda140",
    "a53baa7b0faea832d45f8a5b9a234b2b6d4ca92bf5c98baeada4a935cc2f1183",
    "57d8c612469359da78b7c16647cc6979be461eb03b59805e7ebded51554f9ead",
    "feaa1e8f320e037709a51e30881fe8076a45fc06611a09bbd87e76f8f3f89826",
    "f4a9d39c5c64bc5457de84b10a4c4b47f3bb6257e9f396ffa61d290015f178d2",
    "6f41f2b755c97185167d887d95180ca4c754578f81cd30fe8119df1e20bb27d5",
    "4a0147bf1d52c6853176777554165d79a01656ddb8f8474da48b65d6218b664e",
    "02e468bbb652ff0da18eeb73932f09813150ef95155ba7669831849da8517196",
    "5d0a47dd3ff4d821cc758e388a49da5744bf86dee423ed93bf727472a8454d8d",
    "d11cf676fbd5b9316fe30acbca98c854cf88dbcee74a5fe22092ac91ccd8d3a1",
    "7b8d1783c1b5b71b454644169d848b28fa57a33ca4a9b49ff88ad897b8aea570",
]


def _label_map(number: int, sha256: str) -> Head:
    file = f"training_seg_{number:02d}.nii.gz"
    return Head(archive=file, package=LABEL_MAPS + file, sha256=sha256, members={file: LABELS})


HEADS = {
    # One real whole head with its cortical surfaces (BSD-2-Clause). Its face is not removed: never render its surface or show
    # it unwarped; the figures show axial slices through the brain of subjects warped from it.
    "s1": Head(
        archive="pycortex-1.4.0.tar.gz",
        package="pycortex==1.4.0",
        sha256="9fdb292a2df96bba6087ee07d428969ba1eb07ed03724bcfaca96ec8e28a5fd5",
        members={"filestore/db/S1/anatomicals/raw.nii.gz": "T1w.nii.gz", **_surfaces()},
    ),
    # The ICBM152 2009a symmetric average, brain only, with tissue maps.
    "icbm152": Head(
        archive="nilearn-0.14.1-py3-none-any.whl",
        package="nilearn==0.14.1",
        sha256="725206484e9fb3f6691f9c2d20204a068759d5072f12055324702ee0cb2bbe8a",
        members={
            f"nilearn/datasets/data/mni_icbm152_{part}_tal_nlin_sym_09a_converted.nii.gz": name
            for part, name in {
                "t1": "T1w.nii.gz",
                "gm": "label-GM_probseg.nii.gz",
                "wm": "label-WM_probseg.nii.gz",
            }.items()
        },
    ),
    # Colin27, the mean of 27 scans of one person, and the same without its skull.
    "colin27": Head(
        archive="mricron-data.deb",
        package="mricron-data",
        members={
            "usr/share/mricron/templates/ch2.nii.gz": "T1w.nii.gz",
            "usr/share/mricron/templates/ch2bet.nii.gz": "desc-brain_T1w.nii.gz",
        },
        members_sha256={
            "T1w.nii.gz": "a009051127f64dc3dd554d5f5b589870ea72106d9642c21b4e7093e478cfc309",
            "desc-brain_T1w.nii.gz": "592a2d20abdf36eefcb540ca8958428040edffc1bc1a18ba1dcfbabac77c5dd1",
        },
    ),
    # One real whole head with its neck, the viewer's example (AGPL-3.0). Its face is not removed: never render its surface.
    # It gives no test subjects, so that no figure of the repository shows it: leave it so, for the licence.
    "brainbrowser": Head(
        archive="brainbrowser-2.3.0.tgz",
        package="brainbrowser@2.3.0",
        sha256="bf3ddf344dc4f1bffb17131468ab5c27ed4e44a6adab5b6e97b81d56c30ac609",
        members={
            "examples/models/structural1.mnc.header.gz": brainbrowser.HEADER,
            "examples/models/structural1.mnc.raw.gz": brainbrowser.RAW,
        },
        convert=brainbrowser.to_nifti,
    ),
    **{f"synthseg{number:02d}": _label_map(number, sha256) for number, sha256 in enumerate(LABEL_MAPS_SHA256, start=1)},
}


def check_names(names: Iterable[str]) -> None:
    """Check that each head is a key of :data:`HEADS`.

    Raises:
        InputError: It is not.
    """
    for name in names:
        if name not in HEADS:
            raise InputError(f"Config key cohort.anatomies names the unknown head '{name}': use {', '.join(HEADS)}.")


def fetch_head(name: str, downloads: Path, folder: Path, *, optional: bool) -> None:
    """Write a head's files into a folder, or the reason why they cannot be had if the run can do without.

    An archive in the downloads folder is used without any network if it is the right one.

    Args:
        name: Of the head, a key of :data:`HEADS`.
        downloads: Folder of package archives, looked into first; a fetched archive is kept there.
        folder: Existing folder for the head's files.
        optional: Whether to say why in the folder, and go on, where the head cannot be had.

    Raises:
        InputError: The head is unknown; or it is not optional and cannot be fetched, unpacked or verified.
    """
    check_names([name])
    head = HEADS[name]
    try:
        fetch_files(head, downloads, folder)
    except InputError as error:
        if not optional:
            raise
        for path in folder.iterdir():
            path.unlink()
        mark_absent(folder, f"{error} Remove the folder of this file to have it tried again.")
        log.warning("The run goes on with one anatomy less (%s): %s", name, error)


def fetch_files(head: Head, downloads: Path, folder: Path) -> None:
    """Write the files of an archive into an existing folder; arguments as for :func:`fetch_head`.

    Raises:
        InputError: The archive cannot be fetched, unpacked or verified.
    """
    _unpack(_find(head, downloads), head, folder)


def _find(head: Head, downloads: Path) -> Path:
    """Return the archive in the downloads folder, fetched first if it is not there."""
    path = downloads / head.archive
    if not path.exists():
        downloads.mkdir(parents=True, exist_ok=True)
        fetch = {".deb": _apt_download, ".tgz": _npm_pack}.get(path.suffix, _pip_download)
        if head.package.startswith("https:"):
            fetch = _download
        with tempfile.TemporaryDirectory(dir=downloads, prefix=".partial-") as name:
            try:
                fetch(head, Path(name))
                fetched = next(file for file in Path(name).iterdir() if file.suffix == path.suffix)
                _check(fetched, head.sha256)
            except (_FetchError, StopIteration) as error:
                known = f"the file with sha256 {head.sha256}" if head.sha256 else f"the Debian package {head.package}"
                raise InputError(
                    f"{path} is missing and could not be fetched ({error}): go online, or put {known} there."
                ) from None
            shutil.move(fetched, path)
    try:
        _check(path, head.sha256)
    except _FetchError as error:
        raise InputError(f"{path} is the wrong file ({error}): put the right one there, or remove it.") from None
    return path


class _FetchError(Exception):
    """Why something could not be fetched, as a part of a sentence."""


def _check(path: Path, sha256: str | None) -> None:
    if sha256 is not None and (found := sha256_of(path)) != sha256:
        raise _FetchError(f"its sha256 is {found}, not {sha256}")


def _pip_download(head: Head, folder: Path) -> None:
    """Fetch by the user's own pip configuration; pip itself checks the hash before it runs a source's build script."""
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{head.package} --hash=sha256:{head.sha256}\n")
    binary = head.archive.endswith(".whl")
    kind = ["--only-binary", ":all:"] if binary else ["--no-binary", head.package.partition("==")[0]]
    call = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", *kind]
    call += ["--disable-pip-version-check", "--progress-bar=off", "--requirement", requirement.name]
    _run(call, folder)


def _apt_download(head: Head, folder: Path) -> None:
    """Fetch from the machine's own package sources, lists and cache apart: no root, no change to the system."""
    if shutil.which("apt-get") is None:
        raise _FetchError("this machine has no apt-get")
    folder = folder.resolve()
    lists, cache = folder / "lists", folder / "cache"
    for path in (lists / "partial", cache / "archives" / "partial"):
        path.mkdir(parents=True)
    private = [f"Dir::State::Lists={lists}", f"Dir::Cache={cache}", "Debug::NoLocking=1", "APT::Sandbox::User="]
    options = [part for option in private for part in ("-o", option)]
    _run(["apt-get", *options, "--quiet", "update"], folder)
    _run(["apt-get", *options, "--quiet", "download", head.package], folder)


def _npm_pack(head: Head, folder: Path) -> None:
    """Fetch by the user's own npm configuration; nothing of the package is installed or run."""
    if shutil.which("npm") is None:
        raise _FetchError("this machine has no npm")
    _run(["npm", "pack", "--silent", "--ignore-scripts", head.package], folder)


def _download(head: Head, folder: Path) -> None:
    """Fetch one file from its address."""
    try:
        with urlopen(head.package, timeout=TIMEOUT_S) as answer, (folder / head.archive).open("wb") as file:
            shutil.copyfileobj(answer, file)
    except (URLError, OSError) as error:
        raise _FetchError(f"{head.package}: {error}") from None


def _run(call: list[str], folder: Path) -> None:
    """Run a command in a folder; its own error line becomes the reason if it fails."""
    try:
        answer = subprocess.run(call, cwd=folder, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise _FetchError(f"no answer in {TIMEOUT_S} s") from None
    if answer.returncode != 0:
        log.info("%s\n%s%s", " ".join(call), answer.stdout, answer.stderr)
        lines = [line.strip() for line in answer.stderr.splitlines() if line.strip()] or [f"{call[0]} failed"]
        errors = [line for line in lines if line.startswith(("ERROR:", "E:"))] or lines
        raise _FetchError(errors[-1].removeprefix("ERROR: ").removeprefix("E: ").partition(". ")[0].rstrip("."))


def _unpack(archive: Path, head: Head, folder: Path) -> None:
    """Write the members that are needed under our own names: no path in an archive is ever followed."""
    members = {".whl": _zip_members, ".deb": _debian_members}.get(archive.suffix, _source_members)
    if archive.name.endswith(".nii.gz"):
        members = _single_file
    try:
        for member, content in members(archive):
            if member in head.members:
                with content() as source, (folder / head.members[member]).open("wb") as target:
                    shutil.copyfileobj(source, target)
    except (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile) as error:
        raise InputError(f"{archive} cannot be unpacked ({error}): remove it to have it fetched again.") from error
    for name in head.members.values():
        path = folder / name
        if not path.exists():
            raise InputError(f"{archive} lacks the file for {name}: remove it to have it fetched again.")
        try:
            _check(path, head.members_sha256.get(name))
        except _FetchError as error:
            raise InputError(f"{archive} holds another {name} ({error}): put the right archive there.") from None
    if head.convert is not None:
        head.convert(folder)


Members = Iterator[tuple[str, Callable[[], IO[bytes]]]]


def _single_file(archive: Path) -> Members:
    yield archive.name, partial(archive.open, "rb")


def _zip_members(archive: Path) -> Members:
    with zipfile.ZipFile(archive) as file:
        for entry in file.infolist():
            yield entry.filename, partial(file.open, entry)


def _source_members(archive: Path) -> Members:
    """Yield the files of a source distribution or an npm package, without its top folder."""
    with tarfile.open(archive, "r|gz") as file:
        for entry in file:
            if entry.isfile():
                yield entry.name.partition("/")[2], partial(file.extractfile, entry)


def _debian_members(archive: Path) -> Members:
    """Yield the files of a Debian package; dpkg-deb knows every compression that Debian and its kin use."""
    call = ["dpkg-deb", "--fsys-tarfile", str(archive)]
    with (
        subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as file,
    ):
        for entry in file:
            if entry.isfile():
                yield entry.name.removeprefix("./"), partial(file.extractfile, entry)
