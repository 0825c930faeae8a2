"""Put artefacts into one NIfTI scan, and write beside it the record that makes the same scan again."""

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np

from decoupled_qc import artefacts
from decoupled_qc.errors import InputError, naming
from decoupled_qc.files import write_whole
from decoupled_qc.images import SUFFIXES
from decoupled_qc.provenance import version_of
from decoupled_qc.scans import Scan, read_scan, write_like
from decoupled_qc.seeds import rng_for
from decoupled_qc.settings import artefact_settings, try_settings

SEVERITY, SEED = 0.5, 0
TOLERANCE = 0.01  # of what a record holds of its scan: rounding is far smaller, another scan farther off
LONGEST_REASON = 160  # characters of a library's message that are still a sentence, not its stack


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("scan", type=Path, help="a NIfTI file, one volume")
    parser.add_argument(
        "--out", type=Path, required=True, help="NIfTI file to write; its record goes to the same name in .json"
    )
    parser.add_argument("--artefact", action="append", metavar="NAME", help="again for another one in the same scan")
    parser.add_argument("--severity", type=float, help=f"from 0, no change, to 1 (default: {SEVERITY})")
    parser.add_argument("--seed", type=int, help=f"another seed, another realisation (default: {SEED})")
    parser.add_argument(
        "--local", action="store_true", default=None, help="in a part of the head only, with a soft edge"
    )
    parser.add_argument(
        "--config", type=Path, help="YAML file whose block 'artefacts' replaces single default settings"
    )
    parser.add_argument("--record", type=Path, help="make the artefacts of this record instead of new ones")


def run(arguments: argparse.Namespace) -> None:
    """Read, corrupt and write a scan.

    Raises:
        InputError: Something given cannot be used; nothing is then written.
    """
    if bool(arguments.artefact) == bool(arguments.record):
        raise InputError("Give either --artefact, once or more often, or the --record of an earlier scan.")
    drawing = [name for name in ("severity", "seed", "local", "config") if getattr(arguments, name) is not None]
    if arguments.record and drawing:
        raise InputError(f"--{drawing[0]} is for new artefacts, which --record makes none of: leave one of them out.")
    twice = [name for name, count in Counter(arguments.artefact or []).items() if count > 1]
    if twice:
        raise InputError(
            f"--artefact {twice[0]} is given more than once, which would put the same realisation on top of itself: name each "
            "artefact once, and give a higher --severity."
        )
    record_path = _record_path(arguments.out)
    scan = read_scan(arguments.scan)
    drawn = _recorded(arguments.record, scan) if arguments.record else _drawn(scan, arguments)
    try:
        if arguments.record:
            _check_is_of(arguments.record, scan, drawn)
        records = artefacts.complete(scan.image, drawn)
        corrupted = artefacts.corrupt(scan.image, records)
        if not corrupted.isfinite().all():
            raise ValueError("its voxels would not be finite")
        described = artefacts.describe(scan.image, corrupted, records)
    except InputError:
        raise
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RuntimeError) as error:
        source = arguments.record or arguments.config or "The default settings"
        reason = f" ({error})" if len(str(error)) <= LONGEST_REASON and "<class" not in str(error) else ""
        raise InputError(f"{source} cannot be applied to {arguments.scan}{reason}: correct its numbers.") from error
    found = {
        "scan": arguments.scan.name,
        "shape": list(scan.image.shape),
        "decoupled_qc": version_of("decoupled-qc"),
        "records": described,
    }
    with write_whole(record_path) as partial:  # under its name after the scan, and not without it
        partial.write_text(json.dumps(found, indent=2, allow_nan=False) + "\n")
        write_like(scan, corrupted, arguments.out)


def _drawn(scan: Scan, arguments: argparse.Namespace) -> list[dict]:
    """Return a new record of each artefact; each depends on the seed and its own name alone."""
    known = artefact_settings(arguments.config)
    for name in arguments.artefact if arguments.config else ():
        try_settings(name, known.get(name, {}))
    severity = SEVERITY if arguments.severity is None else arguments.severity
    seed = SEED if arguments.seed is None else arguments.seed
    with naming(scan.path):
        return [
            artefacts.sample_record(
                name,
                severity,
                tuple(scan.image.shape),
                scan.spacing_mm,
                rng_for(seed, "simulate", name),
                known.get(name, {}),
                local_probability=float(bool(arguments.local)),
            )
            for name in arguments.artefact
        ]


def _recorded(path: Path, scan: Scan) -> list[dict]:
    """Return the records of an earlier scan of the same shape: planes and places are counted in voxels."""
    try:
        found = json.loads(path.read_text(), parse_constant=_refuse_constant)
        records, shape = list(found["records"]), found.get("shape", list(scan.image.shape))
        for record in records:
            artefacts.module_path(record["artefact"])
            if not 0 <= float(record["severity"]) <= 1:
                raise ValueError(f"a severity of {record['severity']}")
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{path} is not a record of simulated artefacts ({error}): give the .json of an earlier scan."
        ) from error
    if shape != list(scan.image.shape):
        raise InputError(f"{path} is of a scan of shape {shape}, not {list(scan.image.shape)}: give that of this scan.")
    return records


def _check_is_of(path: Path, scan: Scan, records: list[dict]) -> None:
    """Raise InputError if what records hold of their clean scan is not true of this one."""
    for record in records:
        measured = getattr(artefacts.load(record["artefact"]), "MEASURES", ())
        bare = {key: value for key, value in record.items() if key not in measured}
        here = artefacts.complete(scan.image, [bare])[0] | {"spacing_mm": list(scan.spacing_mm)}
        for key in ("spacing_mm", *measured):
            if key in record and not np.allclose(here[key], record[key], 0, TOLERANCE * np.abs(record[key]).max()):
                raise InputError(
                    f"{path} is of another scan, whose {key} of {record['artefact']} was {record[key]} and here is {here[key]}: "
                    "give the scan that the record was made from."
                )


def _refuse_constant(name: str) -> None:
    raise ValueError(f"it holds {name}")


def _record_path(out: Path) -> Path:
    for suffix in reversed(SUFFIXES):
        if out.name.endswith(suffix):
            return out.with_name(out.name.removesuffix(suffix) + ".json")
    raise InputError(f"{out} is no NIfTI name: end it in .nii.gz or .nii.")
