"""Results on disk: maps under BIDS-derivatives names, a summary for each scan, and a table of all."""

import errno
import fcntl
import hashlib
import json
import logging
import math
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import nibabel as nib
import pandas as pd

from decoupled_qc.apply.folder import Model
from decoupled_qc.apply.inputs import Input, entries
from decoupled_qc.apply.predictor import Result
from decoupled_qc.apply.results_folder import DESCRIPTION, NAME, PAGE, REFERENCE, TABLE, is_ours
from decoupled_qc.apply.verdict import percentiles
from decoupled_qc.delimited import read_cells
from decoupled_qc.errors import FULL, InputError, ResourceError
from decoupled_qc.files import write_whole
from decoupled_qc.provenance import version_of
from decoupled_qc.report.group_page import write_group_page
from decoupled_qc.report.scan_page import write_scan_page
from decoupled_qc.report.volumes import read_volume
from decoupled_qc.threads import side_by_side

log = logging.getLogger(__name__)

LOCK = ".lock"  # in the folder of results; it stays, since only its being held means anything
SUMMARY = "desc-summary.json"
IDENTITY_DIGITS = 12
OK, ERROR = "ok", "error"
ABOUT = ("scan", "input", "folder", "status", "error", "model")  # columns; a row with an error has no model
LOCKLESS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # of a file system that has no locks


def columns(reference: Mapping) -> list[str]:
    """Return the columns of ``predictions.csv``.

    Args:
        reference: ``reference.json``.
    """
    own = [f"uncertainty_{name}" for name in reference["artefacts"]]
    among = [f"percentile_{name}_{band}" for name, bands in reference["severity"].items() for band in bands]
    return [
        *ABOUT,
        *("gm_volume_ml", "gm_volume_low_ml", "gm_volume_high_ml", "task_uncertainty", "artefact_uncertainty", *own),
        *("predicted_dice", "predicted_dice_low", "predicted_dice_high", "decision"),
        *("cause", "cause_accuracy", "cause_accuracy_scans", "cause_accuracy_subjects", "snr", "cnr"),
        *("percentile_clean", *among, "nearest_severity", "unlike_training", "unlike_reason", "seconds"),
    ]


def begin(out: Path, reference: dict) -> None:
    """Make the results folder, with what holds for all scans: dataset description, reference, what the maps are.

    Raises:
        ResourceError: It cannot be written to.
    """
    about = {
        "gm_probseg": {"Description": "Probability of grey matter, 0 to 1"},
        "gm_dseg": {"Description": "Probability above 0.5", "LabelMap": {"0": "other", "1": "grey matter"}},
        "total_variance": {"Description": "Sum of the variances of all artefacts, without the task's"},
    }
    for cause in ("task", *reference["artefacts"]):
        about[f"{cause}_variance"] = {"Description": f"Variance of the network's logits that is put down to {cause}"}
    described = {
        DESCRIPTION: {
            "Name": "Uncertainty of grey-matter segmentation",
            "BIDSVersion": "1.10.0",
            "DatasetType": "derivative",
            "GeneratedBy": [{"Name": NAME, "Version": version_of("decoupled-qc")}],
        },
        REFERENCE: reference,
        **{f"desc-{name}.json": content for name, content in about.items()},  # BIDS: holds for all maps of that name
    }
    with storage(out):
        out.mkdir(parents=True, exist_ok=True)
        for name, content in described.items():
            _write_json(out / name, content)


@contextmanager
def storage(out: Path) -> Iterator[None]:
    """Turn an error of the file system into one sentence.

    Args:
        out: Folder of results, for the sentence.

    Raises:
        ResourceError: Something could not be written.
    """
    try:
        yield
    except OSError as error:
        reason = "is full: make room"
        if error.errno not in FULL:
            reason = f"cannot be written to ({error.strerror}): name another folder"
        raise ResourceError(f"{out} {reason}, and give the same command again.") from error


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Make the results folder and keep other runs out of it, until the block or the process ends, however it ends.

    Args:
        out: Folder of results.

    Raises:
        InputError: It holds something else than results, which would be overwritten.
        ResourceError: Another run is writing to it, or it cannot be written to.
    """
    _refuse_foreign(out)
    with storage(out):
        out.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(out / LOCK, os.O_RDWR | os.O_CREAT, 0o666)  # not emptied: it may name who holds it
    with os.fdopen(descriptor, "r+", errors="replace") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ResourceError(
                f"Another run is writing to {out} ({lock.read(100).strip()}): wait for it or give another folder."
            ) from error
        except OSError as error:
            if error.errno not in LOCKLESS:
                raise
            log.warning("%s lies where files cannot be locked: start no second run with it.", out)
        with storage(out):
            lock.truncate(0)
            lock.write(f"pid {os.getpid()} on {socket.gethostname()}\n")
            lock.flush()
        yield


def _refuse_foreign(out: Path) -> None:
    """Refuse a folder with files of somebody else's under the names of ours, such as the dataset itself.

    The description is the first file that a run writes, so that what it does not stand beside is none of a run's.

    Raises:
        InputError: There is such a file.
    """
    described = out / DESCRIPTION
    if is_ours(out):
        return
    if os.path.lexists(described):
        raise InputError(
            f"{described} is another dataset's and is not overwritten: give another folder with -o, such as "
            f"{out / 'derivatives' / NAME}."
        )
    for name in (TABLE, REFERENCE, PAGE):
        if os.path.lexists(out / name):
            raise InputError(
                f"{out / name} is not of {NAME}'s making and is not overwritten: give another folder with -o."
            )


def write_result(out: Path, one: Input, result: Result, key: dict, model: Model, *, pages: bool) -> dict:
    """Write a scan's maps, its page and, when they are whole, its summary; return its row.

    Args:
        out: Folder of all results.
        one: The scan.
        result: What the model says of it.
        key: That tells whether a later call is about the same scan and model, see :func:`key_of`.
        model: The model.
        pages: Write ``<scan>.html`` too.

    Raises:
        OSError: The scan has gone since it was read.
        ResourceError: The results cannot be written.
    """
    folder = out / one.folder
    image = read_volume(one.path) if pages else None  # here, where it is no fault of the results' disk if it is gone
    about = {"scan": one.scan, "input": str(one.path), "folder": one.folder, "status": OK, "error": ""}
    row = {**about, "model": identity(model), **result.row}
    with storage(out):
        folder.mkdir(parents=True, exist_ok=True)
        names = {folder / f"{one.scan}_desc-{name}.nii.gz": file for name, file in result.maps.items()}
        written = side_by_side(_write_map, names.items())
        if pages:
            written.append(write_scan_page(out, row, image, result.maps, model.reference))
        summary = {
            "row": row,
            "measures": result.measures,
            "percentiles": percentiles(row["artefact_uncertainty"], model.reference),
            "Sources": [str(one.path)],
            "model": {"sha256": model.card["sha256"], "versions": model.card.get("versions", {})},
            "key": key,
            "files": {path.name: path.stat().st_size for path in written},
        }
        _write_json(folder / f"{one.scan}_{SUMMARY}", summary)
    return row


def _write_map(named: tuple[Path, nib.Nifti1Image]) -> Path:
    path, file = named
    with write_whole(path) as partial:
        nib.save(file, partial)
    return path


def key_of(path: Path, model: Model, build: str = "") -> dict:
    """Return what must be the same for a result to be up to date: file, its size and time, model folder, columns, version.

    Args:
        path: The scan.
        model: The model.
        build: Names the code that makes results, where the package's version does not tell one from another.
    """
    status = path.stat()
    return {
        "input": str(path),
        "bytes": status.st_size,
        "changed_ns": status.st_mtime_ns,
        "sha256": model.card["sha256"],
        "description_sha256": _description_sha256(model),
        "version": version_of("decoupled-qc"),
        "build": build,
    }


def identity(model: Model) -> str:
    """Return the first digits of a SHA-256 of all that a verdict rests on: weights, settings, reference and columns."""
    return _description_sha256(model)[:IDENTITY_DIGITS]


def _description_sha256(model: Model) -> str:
    described = json.dumps([model.card, model.reference, columns(model.reference)], sort_keys=True)
    return hashlib.sha256(described.encode()).hexdigest()


def earlier_row(out: Path, one: Input, key: dict, *, pages: bool) -> dict | None:
    """Return the row of a scan that an earlier call finished, with all its files as they were written; else None."""
    folder = out / one.folder
    try:
        summary = json.loads((folder / f"{one.scan}_{SUMMARY}").read_text())
        whole = all((folder / name).stat().st_size == size for name, size in summary["files"].items())
        whole = whole and (not pages or f"{one.scan}.html" in summary["files"])
        return summary["row"] if whole and summary["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def remove_outdated(out: Path, one: Input, key: dict) -> None:
    """Remove what an earlier call wrote of a file that has changed since, or by another version.

    Args:
        out: Folder of results.
        one: The scan.
        key: What holds now, see :func:`key_of`.

    Raises:
        ResourceError: It cannot be removed.
    """
    folder = out / one.folder
    path = folder / f"{one.scan}_{SUMMARY}"
    try:
        summary = json.loads(path.read_text())
        names = [] if summary["key"] == key else [Path(name).name for name in summary["files"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return
    with storage(out):
        for file in (*(folder / name for name in names), *([path] if names else [])):
            file.unlink(missing_ok=True)


def error_row(one: Input, reason: str) -> dict:
    """Return the row of a scan that could not be predicted."""
    return {"scan": one.scan, "input": str(one.path), "folder": one.folder, "status": ERROR, "error": reason}


def read_rows(out: Path) -> dict[str, dict]:
    """Return scan → row of an earlier call's table, empty if there is none; less folders that can be read by now.

    Raises:
        InputError: It cannot be read, or is no table of ours.
    """
    table = out / TABLE
    if not table.is_file():
        return {}
    advice = "move it away and give the same command again, which keeps every finished scan"
    try:
        cells = read_cells(table, ",")
    except InputError as error:
        raise InputError(f"{table} is not as an earlier call wrote it: {advice}.") from error
    for name in ABOUT:
        if name not in cells:
            raise InputError(f"{table} has no column '{name}', so no earlier call wrote it: {advice}.")
    rows = {row["scan"]: row for row in cells.to_dict("records")}
    return {scan: row for scan, row in rows.items() if entries(Path(row["input"])) is None}


def refuse_other_model(out: Path, rows: Mapping[str, dict], model: Model) -> None:
    """Refuse to go on in a table with verdicts of another model, beside whose reference they would stand.

    Args:
        out: Folder of results.
        rows: That are in its table.
        model: To go on with.

    Raises:
        InputError: One of them is of another model.
    """
    for row in rows.values():
        if row["model"] not in ("", identity(model)):
            raise InputError(
                f"{out / TABLE} holds verdicts of model {row['model']}, and this is {identity(model)}: give another folder "
                "with -o, so that no table mixes two."
            )


def write_rows(out: Path, rows: Mapping[str, dict], reference: Mapping) -> None:
    """Write ``predictions.csv``.

    Args:
        out: Folder of results.
        rows: By scan.
        reference: ``reference.json``.

    Raises:
        ResourceError: It cannot be written.
    """
    table = pd.DataFrame([_rounded(row) for row in rows.values()], columns=columns(reference))
    with storage(out), write_whole(out / TABLE) as partial:
        table.to_csv(partial, index=False)


def gather(tables: list[Path], path: Path) -> None:
    """Join the tables of batches: folders become relative to the joint table's.

    Args:
        tables: ``predictions.csv`` of each batch.
        path: Of the joint table; the reference is copied beside it, and a page of all scans written.

    Raises:
        InputError: They are of several models.
    """
    parts = []
    for table in tables:
        part = pd.read_csv(table, dtype=str, keep_default_na=False)
        batch = table.parent.relative_to(path.parent).as_posix()
        parts.append(part.assign(folder=[f"{batch}/{folder}" for folder in part["folder"]]))
    joint = pd.concat(parts, ignore_index=True)
    if len(set(joint["model"]) - {""}) > 1:
        raise InputError(
            f"The batches of {path.parent} are of several models: remove that folder and run the same again."
        )
    for name in (DESCRIPTION, REFERENCE):
        with write_whole(path.with_name(name)) as partial:
            shutil.copyfile(tables[0].with_name(name), partial)
    with write_whole(path) as partial:
        joint.to_csv(partial, index=False)
    write_group_page(path.parent)


def _rounded(row: dict) -> dict:
    """Return a row with numbers as a reader wants them, whole ones without a point, and truth in lower case."""
    return {
        name: str(value).lower() if isinstance(value, int) else f"{value:.6g}" if isinstance(value, float) else value
        for name, value in row.items()
        if not (isinstance(value, float) and not math.isfinite(value))
    }


def _write_json(path: Path, content: dict) -> None:
    with write_whole(path) as partial:
        partial.write_text(
            json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
        )


def _plain(value: object) -> object:
    """Return JSON's types; a number that is not finite becomes null, since JSON has no word for it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) or hasattr(value, "item"):
        number = value if isinstance(value, float) else value.item()
        return number if not isinstance(number, float) or math.isfinite(number) else None
    return value
