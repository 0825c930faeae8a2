"""Processor seconds and peak memory of listing, auditing and splitting many scans, against their number.

    python benchmarks/audit.py --csv FILE

The volumes are tiny, so this is the cost per scan of everything but reading voxels; memory is that of a process of its own,
beyond what it took before.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

SCANS = (500, 1000, 5000)
SHAPE = (16, 16, 16)
SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1, "real": 0.0}
ADMISSION = {"pattern": "*", "good": None, "real": None, "strict": False, "min_subjects": 10}


def main() -> None:
    """Measure, print, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--csv", type=Path, help="table to write: name, list_s, audit_s, split_s, mib; and FILE_scaling.csv"
    )
    arguments = parser.parse_args()
    rows = []
    for number in SCANS:
        with tempfile.TemporaryDirectory() as folder, multiprocessing.get_context("spawn").Pool(1) as pool:
            rows.append((f"{number} scans", *pool.apply(measure, (number, Path(folder)))))
    found = pd.DataFrame(rows, columns=["name", "list_s", "audit_s", "split_s", "mib"])
    print(found.to_string(index=False, float_format="{:.1f}".format))
    if arguments.csv:
        found.to_csv(arguments.csv, index=False, float_format="%.2f")
        seconds = found[["list_s", "audit_s", "split_s"]].sum(axis=1)
        curve = pd.DataFrame(
            {"name": "audit", "against": "scans", "value": SCANS, "seconds": seconds, "mib": found["mib"]}
        )
        curve.to_csv(arguments.csv.with_name("audit_scaling.csv"), index=False, float_format="%.3f")


def measure(number: int, folder: Path) -> tuple[float, float, float, float]:
    """Return processor seconds of each step, and MiB."""
    from decoupled_qc.cohort import splits
    from decoupled_qc.cohort.audit import write_audit
    from decoupled_qc.cohort.sources import find_scans

    make(number, folder)
    before, times = peak_mib(), [time.process_time()]
    scans = find_scans("table", str(folder / "scans.tsv"), ["*"], None)
    times.append(time.process_time())
    found = write_audit(scans, folder / "out", 1)
    times.append(time.process_time())
    splits.split(splits.admit(scans, found, **ADMISSION), SHARES, None, 1)
    times.append(time.process_time())
    listed, audited, split = (after - start for start, after in pairwise(times))
    return listed, audited, split, peak_mib() - before


def make(number: int, folder: Path) -> None:
    """Write tiny scans, each of its own content, and a table of them."""
    rng = np.random.default_rng(0)
    for index in range(number):
        values = rng.integers(0, 1000, SHAPE).astype(np.int16)
        nib.save(nib.Nifti1Image(values, np.eye(4)), folder / f"sub-{index:06d}_T1w.nii.gz")
    names = [f"sub-{index:06d}" for index in range(number)]
    table = pd.DataFrame({"subject": names, "image": [f"{name}_T1w.nii.gz" for name in names]})
    table.to_csv(folder / "scans.tsv", sep="\t", index=False)


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
