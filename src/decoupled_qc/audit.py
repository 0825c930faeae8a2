"""Check the scans of a BIDS folder or a table before anything is trained on them; writes a table and a page."""

import argparse
from pathlib import Path

import pandas as pd

from decoupled_qc.cohort import audit as checks
from decoupled_qc.cohort import audit_page, sources
from decoupled_qc.errors import InputError
from decoupled_qc.files import write_whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("path", help="a BIDS folder, or a .tsv or .csv table with the columns subject and image")
    parser.add_argument("--out", type=Path, required=True, help="folder for audit.tsv and audit.html")
    parser.add_argument("--pattern", default="*", help="take scans whose names match this (default: all)")
    parser.add_argument("--strict", action="store_true", help="fail if any scan cannot be used")


def run(arguments: argparse.Namespace) -> None:
    """Audit, write, and print what was found.

    Raises:
        InputError: There is nothing to audit; or, with ``--strict``, a scan cannot be used: table and page are written.
    """
    kind = "bids" if Path(arguments.path).is_dir() else "table"
    found = write_audit(sources.find_scans(kind, arguments.path, [arguments.pattern], None), arguments.out)
    bad = found[found["status"] != "ok"]
    print(f"{len(found) - len(bad)} of {len(found)} scans can be used: {arguments.out / 'audit.html'}")
    for row in bad.itertuples():
        print(f"  {row.scan}: {row.reason}")
    if arguments.strict and len(bad):
        raise InputError(f"{len(bad)} of {len(found)} scans cannot be used: see {arguments.out / 'audit.tsv'}.")


def write_audit(scans: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Write ``audit.tsv`` and ``audit.html``; return the table."""
    found, slices = checks.audit(scans)
    with write_whole(folder / "audit.tsv") as file:
        found.to_csv(file, sep="\t", index=False)
    with write_whole(folder / "audit.html") as file:
        file.write_text(audit_page.render(found, slices))
    return found
