"""OASIS-1 as unpacked: whole heads of ``PROCESSED/MPRAGE/T88_111``, with FSL FAST's tissues of ``FSL_SEG`` on the same grid.

A person of the reliability set has two sessions, ``MR1`` and ``MR2``: choose one by ``cohort.scans.pattern``.
"""

import re
from pathlib import Path

import pandas as pd

HEADS = "OAS1_*_MR*/PROCESSED/MPRAGE/T88_111/[!.]*_t88_gfc.hdr"  # without masked_gfc, whose skull is off
SESSION = re.compile(r"OAS1_(\d+)_(MR\d+)")


def find(path: Path) -> pd.DataFrame:
    """Return the scans of OASIS-1, in disc folders or without, see :mod:`decoupled_qc.cohort.sources`."""
    rows = []
    for image in sorted(path.rglob(HEADS)):
        session = image.parents[3]
        if name := SESSION.fullmatch(session.name):
            label = session / "FSL_SEG" / image.name.replace("_t88_gfc.hdr", "_t88_masked_gfc_fseg.hdr")
            known = {"dseg": str(label), "label_source": "FSL FAST"} if label.exists() else {}
            subject = f"sub-OAS1{name[1]}"
            rows.append({"subject": subject, "scan": f"{subject}_ses-{name[2]}_T1w", "image": str(image), **known})
    return pd.DataFrame(rows)
