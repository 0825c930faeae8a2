"""Check the scans of a BIDS folder, a table or another source before anything is trained on them; writes a table and a page."""

import argparse
import logging
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from decoupled_qc.cohort import audit_page, checks, sources
from decoupled_qc.errors import InputError
from decoupled_qc.files import write_whole

log = logging.getLogger(__name__)

SCANS_A_PAGE = 500  # pictures that a browser shows at once, and that are held in memory


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "path", help="what the source reads: a folder, or a .tsv or .csv table with the columns subject and image"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for audit.tsv and audit.html")
    parser.add_argument(
        "--source", choices=sources.names(), help="kind of source (default: bids for a folder, else table)"
    )
    parser.add_argument("--pattern", default="*", help="take scans whose names match this (default: all)")
    parser.add_argument("--strict", action="store_true", help="fail if any scan is excluded or stands there twice")
    parser.add_argument("--jobs", type=int, default=1, help="scans looked at side by side (default: %(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Audit, write, and print what was found.

    Raises:
        InputError: There is nothing to audit; or, with ``--strict``, a scan is excluded or holds the same image as another:
            table and page are written.
    """
    kind = arguments.source or ("bids" if Path(arguments.path).is_dir() else "table")
    scans = sources.find_scans(kind, arguments.path, [arguments.pattern], None)
    found = write_audit(scans, arguments.out, arguments.jobs)
    bad = found[found["reason"] != ""]
    n_usable = (found["status"] == "ok").sum()
    print(f"{n_usable} of {len(found)} scans can be used: {arguments.out / 'audit.html'}")
    for row in bad.itertuples():
        print(f"  {row.scan}: {row.reason}")
    if arguments.strict and len(bad):
        raise InputError(
            f"{len(bad)} of {len(found)} scans cannot be used as they are: see {arguments.out / 'audit.tsv'}."
        )


def write_audit(scans: pd.DataFrame, folder: Path, jobs: int) -> pd.DataFrame:
    """Write ``audit.tsv``, ``audit.html`` and, beyond its first scans, ``audit-2.html`` and on; return the table.

    Only one page of pictures is in memory, however many scans there are.

    Args:
        scans: As :func:`decoupled_qc.cohort.sources.find_scans` returns them.
        folder: For the files; pages of an earlier audit there are removed.
        jobs: Scans looked at side by side.
    """
    n_pages = -(-len(scans) // SCANS_A_PAGE)
    names = ["audit.html", *(f"audit-{number}.html" for number in range(2, n_pages + 1))]
    for old in folder.glob("audit-*.html"):
        if re.fullmatch(r"audit-\d+\.html", old.name):
            old.unlink()
    looks = _look_at_all(scans, jobs)
    rows, first = [], []
    for name in names:
        shown = [next(looks) for _ in range(min(SCANS_A_PAGE, len(scans) - len(rows)))]
        rows += [{column: row[column] for column in checks.COLUMNS} for row in shown]
        if name == names[0]:
            first = shown
        else:
            _write(folder / name, audit_page.render(shown, None, names))
        log.info("%d of %d scans are audited", len(rows), len(scans))
    looks.close()
    found = checks.mark_twins(pd.DataFrame(rows, columns=checks.COLUMNS))
    for row in found[found["reason"] != ""].itertuples():
        log.warning("%s is %s: %s", row.scan, "excluded" if row.status != "ok" else "there twice", row.reason)
    _write(folder / "audit.tsv", found.to_csv(sep="\t", index=False))
    _write(folder / names[0], audit_page.render(first, found, names))
    return found


def _look_at_all(scans: pd.DataFrame, jobs: int) -> Iterator[dict]:
    """Yield a row per scan in their order; unpacking, numpy and hashing leave Python's lock to the other threads."""
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(_look, scans.itertuples())


def _look(row: tuple) -> dict:
    """Return a scan's row of the audit with its picture."""
    found, slices = checks.check_scan(row)
    return {**found, "picture": None if slices is None else audit_page.tile(*slices)}


def _write(path: Path, text: str) -> None:
    with write_whole(path) as file:
        file.write_text(text)
