"""Neurite-OASIS as unpacked: whole heads and labels of four tissues in ``OASIS_OAS1_0001_MR1/``, named in ``seg4_labels.txt``."""

import re
from pathlib import Path

import pandas as pd

from decoupled_qc.errors import InputError

FOLDER = re.compile(r"OASIS_OAS1_(\d+)_MR\d+")
PAIRS = (("orig.nii.gz", "seg4.nii.gz"), ("aligned_orig.nii.gz", "aligned_seg4.nii.gz"))  # native where it is there
NAMES = "seg4_labels.txt"
TISSUES = {"cortex": "grey", "gray": "grey", "grey": "grey", "white": "white", "csf": "csf"}  # by a word of the name


def find(path: Path) -> pd.DataFrame:
    """Return the scans of Neurite-OASIS, see :mod:`decoupled_qc.cohort.sources`.

    Raises:
        InputError: The names of the labels are missing, or one of them is no tissue.
    """
    meanings = _meanings(path / NAMES)
    rows = []
    for folder in sorted(path.glob("OASIS_OAS1_*")):
        name = FOLDER.fullmatch(folder.name)
        image, label = next(
            (
                (folder / one, folder / other)
                for one, other in PAIRS
                if (folder / one).exists() and (folder / other).exists()
            ),
            (None, None),
        )
        if name and image:
            subject = f"sub-OAS1{name[1]}"
            row = {"subject": subject, "scan": f"{subject}_T1w", "image": str(image), "dseg": str(label)}
            rows.append({**row, "dseg_values": meanings, "label_source": "FreeSurfer or SAMSEG (Neurite-OASIS)"})
    return pd.DataFrame(rows)


def _meanings(path: Path) -> str:
    """Return the tissue of each label as ``1=grey 3=white``, from lines such as ``3 White-Matter 245 245 245 0``."""
    if not path.is_file():
        raise InputError(f"{path} is missing, which names the labels: unpack all of Neurite-OASIS.")
    found = []
    for line in path.read_text().splitlines():
        value, *rest = line.split()[:2] or [""]
        if not value.isdecimal() or not rest or value == "0":
            continue
        tissue = next((tissue for word, tissue in TISSUES.items() if word in rest[0].lower()), None)
        if tissue is None:
            raise InputError(f"{path} names label {value} '{rest[0]}', which is no tissue: is it Neurite-OASIS's?")
        found.append(f"{value}={tissue}")
    return " ".join(found)
