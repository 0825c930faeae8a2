"""Scans of a public OpenNeuro data set, from its S3 bucket: a pinned version, verified, and gone on with after a break."""

import fnmatch
import hashlib
import json
import logging
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import boto3
import pandas as pd
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, IncompleteReadError
from urllib3.exceptions import HTTPError

from decoupled_qc.errors import InputError, is_of_machine
from decoupled_qc.files import sha256_of, write_whole
from decoupled_qc.jobs import announce

log = logging.getLogger(__name__)

BUCKET, REGION = "openneuro.org", "us-east-1"
DESCRIPTION = "dataset_description.json"
KNOWN = ".sha256.tsv"  # in a data set's folder: what each file was when it was first fetched
COLUMNS = ["path", "bytes", "etag", "sha256"]
WORKERS = 8
TRIES = 5  # of a file, each from where the last one broke off
CHUNK_BYTES = 1 << 20
OTHER_FILE = ("412", "PreconditionFailed", "416", "InvalidRange")  # what has come is no beginning of what is there now
BREAKS = (BotoCoreError, HTTPError, IncompleteReadError, OSError)


@dataclass(frozen=True)
class Entry:
    """A file of a data set as the bucket lists it; the etag of a file in one part is its MD5."""

    path: str
    bytes: int
    etag: str


class _Broken(Exception):
    """Why one file could not be fetched, as a part of a sentence."""


def fetch(
    dataset: str, version: str | None, include: Sequence[str], folder: Path, *, licence: str, subjects: int | None
) -> pd.DataFrame:
    """Fetch what is not there yet, and verify all of it.

    The endpoint is Amazon's, or that of the environment variable ``AWS_ENDPOINT_URL_S3``; no account is needed.

    Args:
        dataset: Accession number, such as ds004173.
        version: Of the snapshot, such as 1.0.2; the bucket holds the latest one only. None takes whatever is there, as a data
            set without a DOI needs it.
        include: Shell patterns of the paths to fetch, relative to the data set; the description always is.
        folder: For the data set; files in it that are right are not fetched again.
        licence: Of the data, to be named before anything is fetched; another one in the description is warned of.
        subjects: Only the first so many of ``sub-*``; all if None.

    Returns:
        One row per file with the columns :data:`COLUMNS`.

    Raises:
        InputError: The bucket cannot be reached or holds another version, its description is no JSON object, a pattern fits no
            file, a file has changed since it was first fetched, the disk is too small, or files could not be fetched whole; all
            others are then kept.
        OSError: The folder cannot be written.
    """
    settings = Config(
        signature_version=UNSIGNED,
        s3={"addressing_style": "path"},
        response_checksum_validation="when_required",  # a part has none, and the whole is checked by its MD5
        max_pool_connections=WORKERS,
        connect_timeout=20,
        read_timeout=60,
        retries={"mode": "standard", "total_max_attempts": 3},
    )
    client = boto3.client("s3", region_name=REGION, config=settings)
    try:
        listed = list(_listed(client, dataset))
        description = _description(client, dataset, listed)
    except (BotoCoreError, ClientError, HTTPError) as error:
        raise InputError(
            f"OpenNeuro's bucket cannot be read for {dataset} ({error}): go online, or set config key cohort.scans.fetch to null "
            "and cohort.scans.path to a copy of the data set."
        ) from error
    _check_version(description, dataset, version)
    for pattern in include:
        if not any(fnmatch.fnmatchcase(entry.path, pattern) for entry in listed):
            raise InputError(
                f"{dataset} holds no file like {pattern}: correct it in config key cohort.scans.fetch.include, or drop it."
            )
    wanted = select(listed, include, subjects)
    folder.mkdir(parents=True, exist_ok=True)
    known = _known(folder)
    known = known[known["path"] != DESCRIPTION]  # it changes with the version, which has a check of its own
    _check_unchanged(dataset, wanted, known)
    missing = [entry for entry in wanted if not (folder / entry.path).is_file()]
    size = sum(entry.bytes for entry in missing)
    announce(
        f"{dataset} {version or 'as it is'}, licence {licence}: {len(wanted)} files, of which {len(missing)} "
        f"({size / 1e9:.2f} GB) are to be fetched to {folder}"
    )
    told = description.get("License", licence)
    if told != licence:
        announce(
            f"{dataset} itself names the licence {told}, not {licence}: read its terms, and correct config key "
            "cohort.scans.fetch.licence."
        )
    seen = set(known["path"])
    for entry in wanted:
        if "-" in entry.etag and entry.path not in seen:
            log.warning(
                "%s was uploaded in parts and has no MD5: this first time only its size is checked.", entry.path
            )
    if size > shutil.disk_usage(folder).free:
        raise InputError(
            f"{folder} has less than {size / 1e9:.1f} GB free: make room, or lower config key cohort.scans.subjects."
        )
    rows, broken = _fetch_all(client, dataset, wanted, folder, known)
    table = pd.DataFrame(sorted(rows), columns=COLUMNS)
    kept = known[~known["path"].isin(table["path"])] if len(known) else known
    with write_whole(folder / KNOWN) as file:
        pd.concat([kept, table]).sort_values("path").to_csv(file, sep="\t", index=False)
    if broken:
        raise InputError(
            f"{len(broken)} of {len(wanted)} files of {dataset} could not be fetched, the first {broken[0]}: run again, which "
            "fetches only what is missing; to do without a file, give config key cohort.scans.fetch.include patterns that it "
            "does not fit."
        )
    return table


def select(listed: Sequence[Entry], include: Sequence[str], subjects: int | None) -> list[Entry]:
    """Return the files that are asked for, those of the first subjects by name only if there is a limit."""
    fitting = [
        entry
        for entry in listed
        if entry.path == DESCRIPTION or any(fnmatch.fnmatchcase(entry.path, one) for one in include)
    ]
    people = sorted({entry.path.split("/")[0] for entry in fitting if entry.path.startswith("sub-")})[:subjects]
    return [entry for entry in fitting if not entry.path.startswith("sub-") or entry.path.split("/")[0] in people]


def _listed(client: object, dataset: str) -> Iterator[Entry]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{dataset}/")
    for page in pages:
        for item in page.get("Contents", []):
            path = item["Key"].removeprefix(f"{dataset}/")
            if not path.endswith("/") and ".." not in path.split("/"):
                yield Entry(path, item["Size"], item["ETag"].strip('"'))


def _description(client: object, dataset: str, listed: Sequence[Entry]) -> dict:
    if DESCRIPTION not in {entry.path for entry in listed}:
        raise InputError(
            f"OpenNeuro's bucket has no data set {dataset}: correct config key cohort.scans.fetch.dataset."
        )
    text = client.get_object(Bucket=BUCKET, Key=f"{dataset}/{DESCRIPTION}")["Body"].read()
    try:
        description = json.loads(text)
        if not isinstance(description, dict):
            raise ValueError("no JSON object")
    except (ValueError, RecursionError) as error:  # also of what is no text
        raise InputError(
            f"{DESCRIPTION} of {dataset} in OpenNeuro's bucket is not valid JSON ({error}): run again later, or set config key "
            "cohort.scans.fetch to null and cohort.scans.path to a copy of the data set."
        ) from error
    return description


def _check_version(description: dict, dataset: str, version: str | None) -> None:
    doi = str(description.get("DatasetDOI") or "")
    if version is None:
        log.warning(
            "%s is fetched as the bucket has it now (its DOI is '%s'): nothing pins its version, since config key "
            "cohort.scans.fetch.version is null.",
            *(dataset, doi),
        )
    elif not doi.endswith(f".v{version}"):
        raise InputError(
            f"OpenNeuro's bucket has another version of {dataset} than {version} (its DOI is '{doi}'): set config key "
            "cohort.scans.fetch.version to it if the scans may differ, or to null if it names none."
        )


def _known(folder: Path) -> pd.DataFrame:
    """Return what each file was when it was first fetched."""
    if not (folder / KNOWN).exists():
        return pd.DataFrame(columns=COLUMNS)
    return pd.read_csv(folder / KNOWN, sep="\t", dtype={"path": str, "bytes": int, "etag": str, "sha256": str})


def _check_unchanged(dataset: str, wanted: Sequence[Entry], known: pd.DataFrame) -> None:
    first = {row.path: (row.bytes, row.etag) for row in known.itertuples()}
    for entry in wanted:
        if first.get(entry.path, (entry.bytes, entry.etag)) != (entry.bytes, entry.etag):
            raise InputError(
                f"{entry.path} of {dataset} has changed in OpenNeuro's bucket since it was first fetched: remove the data set's "
                "folder to start over with what is there now."
            )


def _fetch_all(
    client: object, dataset: str, wanted: Sequence[Entry], folder: Path, known: pd.DataFrame
) -> tuple[list[tuple], list[str]]:
    """Return a row per good file, and a sentence's part per file that could not be had."""
    sha256 = dict(zip(known["path"], known["sha256"], strict=True))
    rows, broken, done, lock = [], [], [0], threading.Lock()

    def one(entry: Entry) -> None:
        try:
            found = _verified(client, dataset, entry, folder, sha256.get(entry.path))
        except _Broken as error:
            with lock:
                broken.append(f"{entry.path} ({error})")
            log.warning("%s of %s: %s", entry.path, dataset, error)
            return
        with lock:
            rows.append((entry.path, entry.bytes, entry.etag, found))
            done[0] += 1
            if done[0] % 50 == 0:
                log.info("%d of %d files are here and verified", done[0], len(wanted))

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(one, wanted))
    return rows, sorted(broken)


def _verified(client: object, dataset: str, entry: Entry, folder: Path, sha256: str | None) -> str:
    """Return the sha256 of a file that is there and right, fetched if it was not."""
    path = folder / entry.path
    if path.is_file():
        try:
            return _check(path, entry, sha256)
        except _Broken as error:
            log.warning("%s is fetched again: %s", path, error)
    partial = path.with_name(f".partial-{path.name}")
    partial.parent.mkdir(parents=True, exist_ok=True)
    reason = ""
    for number in range(TRIES):
        if number:
            time.sleep(min(0.2 * 2**number, 5))
        try:
            _go_on(client, dataset, entry, partial)
            found = _check(partial, entry, sha256)
        except _Broken as error:
            reason = str(error)
            partial.unlink(missing_ok=True)
            continue
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in ("404", "NoSuchKey", "403", "AccessDenied"):
                raise _Broken(f"the bucket lists it but does not give it: {code}") from error
            reason = code
            if code in OTHER_FILE:
                partial.unlink(missing_ok=True)
            continue
        except BREAKS as error:
            if is_of_machine(error):
                raise OSError(error.errno, error.strerror, str(partial)) from error
            reason = f"the connection broke: {error}"
            continue
        partial.replace(path)
        return found
    raise _Broken(f"{reason}, {TRIES} times")


def _go_on(client: object, dataset: str, entry: Entry, partial: Path) -> None:
    """Append to a file what it still lacks."""
    have = partial.stat().st_size if partial.exists() else 0
    if have >= entry.bytes:
        partial.touch()
        return
    wanted = {"Bucket": BUCKET, "Key": f"{dataset}/{entry.path}", "IfMatch": entry.etag}
    answer = client.get_object(**wanted, **({"Range": f"bytes={have}-"} if have else {}))
    with partial.open("ab") as file:
        for chunk in answer["Body"].iter_chunks(CHUNK_BYTES):
            file.write(chunk)


def _check(path: Path, entry: Entry, sha256: str | None) -> str:
    """Return the sha256 of a file of the right size, MD5 and, where it is known, sha256."""
    size = path.stat().st_size
    if size != entry.bytes:
        raise _Broken(f"it has {size} bytes, not {entry.bytes}")
    if "-" not in entry.etag:  # of a file that was uploaded in one part
        with path.open("rb") as file:
            if hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest() != entry.etag:
                raise _Broken("its MD5 is not the bucket's")
    found = sha256_of(path)
    if sha256 is not None and found != sha256:
        raise _Broken("its sha256 is not that of the first fetch")
    return found
