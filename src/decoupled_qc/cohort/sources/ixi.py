"""IXI as unpacked: ``IXI002-Guys-0828-T1.nii.gz`` in one folder or several; the hospital is the site, and there are no labels."""

import re
from pathlib import Path

import pandas as pd

NAME = re.compile(r"(IXI\d+)-([A-Za-z]+)-\d+-T1\.nii(?:\.gz)?")


def find(path: Path) -> pd.DataFrame:
    """Return the T1-weighted scans of IXI, see :mod:`decoupled_qc.cohort.sources`."""
    rows = []
    for image in sorted(path.rglob("IXI*-T1.nii*")):
        if name := NAME.fullmatch(image.name):
            subject = f"sub-{name[1]}"
            rows.append({"subject": subject, "scan": f"{subject}_T1w", "image": str(image), "site": name[2]})
    return pd.DataFrame(rows)
