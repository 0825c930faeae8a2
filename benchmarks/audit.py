"""Time and memory of auditing and splitting many scans, and how they grow: the volumes are tiny, so this is the cost per scan
of everything but reading voxels.

    python benchmarks/audit.py --scans 500 5000
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

SHAPE = (16, 16, 16)
SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1, "real": 0.0}
ADMISSION = {"pattern": "*", "good": None, "real": None, "strict": False, "min_subjects": 10}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, nargs="+", default=[500, 5000])
    arguments = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")  # a process of its own each, for a peak of its own
    for number in arguments.scans:
        with tempfile.TemporaryDirectory() as name, spawn.Pool(1) as pool:
            print(pool.apply(measure, (number, Path(name))), flush=True)


def measure(number: int, folder: Path) -> dict[str, float]:
    """Return processor seconds of each step and the peak memory of the process."""
    from decoupled_qc.audit import write_audit
    from decoupled_qc.cohort import splits
    from decoupled_qc.cohort.sources import find_scans

    make(number, folder)
    before_mb = peak_mb()
    start = time.process_time()
    scans = find_scans("table", str(folder / "scans.tsv"), ["*"], None)
    listed = time.process_time()
    found = write_audit(scans, folder / "out", 1)
    audited = time.process_time()
    splits.split(splits.admit(scans, found, **ADMISSION), SHARES, None, 1)
    return {
        "scans": number,
        "list_s": round(listed - start, 2),
        "audit_s": round(audited - listed, 2),
        "split_s": round(time.process_time() - audited, 2),
        "peak_mb_before": round(before_mb),
        "peak_mb": round(peak_mb()),
    }


def make(number: int, folder: Path) -> None:
    """Write tiny scans, each of its own content, and a table of them."""
    rng = np.random.default_rng(0)
    for index in range(number):
        values = rng.integers(0, 1000, SHAPE).astype(np.int16)
        nib.save(nib.Nifti1Image(values, np.eye(4)), folder / f"sub-{index:06d}_T1w.nii.gz")
    names = [f"sub-{index:06d}" for index in range(number)]
    table = pd.DataFrame({"subject": names, "image": [f"{name}_T1w.nii.gz" for name in names]})
    table.to_csv(folder / "scans.tsv", sep="\t", index=False)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
