"""A BIDS folder of toy heads, and what is asked of it in every test of a cohort of real scans."""

import nibabel as nib
import numpy as np
import pandas as pd

from decoupled_qc.cohort import checks, sources, splits

SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2, "real": 0.0}
ADMIT = {"pattern": "*", "good": None, "real": None, "strict": False, "min_subjects": 3}
MM = 2.0


def head(seed):
    """A ball of tissue in air, (50, 50, 50) at 2 mm, and its label with about 500 ml of grey matter."""
    distance = np.linalg.norm(np.indices((50, 50, 50)) - 24.5, axis=0) * MM
    label = np.select([distance < 20, distance < 50, distance < 55], [3, 2, 1], 0).astype(np.uint8)
    noise = np.random.default_rng(seed).random(label.shape)
    return (np.array([0, 200, 500, 800])[label] + 50 * noise).astype(np.int16), label


def write(folder, subject, seed, *, values=None, label=None, affine=None, name="T1w"):
    folder = folder / subject / "anat"
    folder.mkdir(parents=True, exist_ok=True)
    affine = np.diag([MM, MM, MM, 1]) if affine is None else affine
    image, tissue = head(seed)
    values = image if values is None else values
    nib.save(nib.Nifti1Image(values, affine), folder / f"{subject}_{name}.nii.gz")
    label = tissue if label is None else label
    nib.save(nib.Nifti1Image(label, np.diag([MM, MM, MM, 1])), folder / f"{subject}_dseg.nii.gz")
    return folder / f"{subject}_{name}.nii.gz"


def write_bids(folder):
    """Write six people with a scan and a label each; return the folder."""
    for number in range(6):
        write(folder, f"sub-{number:02d}", number)
    return folder


def find(path, pattern="*"):
    return sources.find_scans("bids" if path.is_dir() else "table", str(path), [pattern], None)


def audit(scans):
    return pd.DataFrame([checks.check_scan(row)[0] for row in scans.itertuples()])


def reasons(path):
    found = audit(find(path))
    return dict(found.loc[found["status"] != "ok", ["scan", "reason"]].itertuples(index=False))


def admitted(path, **changes):
    scans = find(path)
    return splits.admit(scans, audit(scans), **(ADMIT | changes))


def cut_off(folder):
    path = folder / "sub-02" / "anat" / "sub-02_T1w.nii.gz"
    path.write_bytes(path.read_bytes()[:-5000])
