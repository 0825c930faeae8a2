"""A run whose real scans have segmentations to rate: one box of grey matter per scan, each of another size."""

import base64
import re

import nibabel as nib
import numpy as np
import pandas as pd

SCANS = [f"sub-{n}_acq-{kind}" for n in range(3) for kind in ("standard", "headmotion2")]


def make_rated_run(folder, scans=SCANS):
    maps = folder / "predictions/student/rep-0/real"
    maps.mkdir(parents=True)
    (folder / "conditions/real").mkdir(parents=True)
    pd.DataFrame({"scan": scans}).to_csv(folder / "conditions/real/scans.tsv", sep="\t", index=False)
    for number, scan in enumerate(scans):
        label = np.zeros((12, 14, 10), np.uint8)
        label[2 : 4 + number, 3:10, 2:8] = 1
        nib.save(nib.Nifti1Image(label, np.eye(4)), maps / f"{scan}_dseg.nii.gz")
    return folder


def shown_order(page):
    """Return the scans in the order in which the text of a page shows them."""
    return [base64.b64decode(code).decode() for code in re.findall(r'"code": "([^"]+)"', page)]
