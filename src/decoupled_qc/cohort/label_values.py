"""What the values of a provided label volume mean: tissues, FreeSurfer's structures, or what its source says."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from decoupled_qc.cohort import aseg
from decoupled_qc.dseg import CSF, GREY_MATTER, WHITE_MATTER
from decoupled_qc.errors import InputError

VALUE_OF_TISSUE = {"background": 0, "csf": CSF, "grey": GREY_MATTER, "white": WHITE_MATTER}


def as_tissues(path: Path, labels: NDArray, meanings: str = "") -> NDArray[np.uint8]:
    """Return 0 background, 1 CSF, 2 grey matter, 3 white matter.

    Args:
        path: Of the label, for messages.
        labels: Any shape, whole numbers.
        meanings: What each value is, such as ``1=grey 2=grey 3=white 4=csf``; 0 is background. Empty for values that are
            tissues already, or FreeSurfer's.

    Raises:
        InputError: A value has no meaning, or the meanings cannot be read.
    """
    if meanings:
        known = _read(path, meanings)
        unknown = set(np.unique(labels).tolist()) - set(known)
        if unknown:
            raise InputError(
                f"{path} has the value {min(unknown):g}, which dseg_values '{meanings}' does not explain: add it."
            )
        tissues = np.zeros(labels.shape, np.uint8)
        for value, tissue in known.items():
            tissues[labels == value] = tissue
        return tissues
    if np.isin(labels, list(VALUE_OF_TISSUE.values())).all():
        return labels.astype(np.uint8)
    if aseg.is_aseg(labels):
        return aseg.to_tissues(labels)
    not_aseg = [value for value in np.unique(labels).tolist() if not aseg.is_aseg(value)]
    unknown = next((value for value in not_aseg if value not in VALUE_OF_TISSUE.values()), not_aseg[0])
    raise InputError(
        f"{path} has values that are neither tissues (0 to 3) nor FreeSurfer's, such as {unknown:g}: explain them in "
        "dseg_values."
    )


def _read(path: Path, meanings: str) -> dict[int, int]:
    known = {0: VALUE_OF_TISSUE["background"]}
    for one in meanings.split():
        value, _, tissue = one.partition("=")
        if not value.isdecimal() or tissue not in VALUE_OF_TISSUE:
            words = ", ".join(VALUE_OF_TISSUE)
            raise InputError(f"dseg_values of {path} has '{one}': give pairs such as 3=white, with one of {words}.")
        known[int(value)] = VALUE_OF_TISSUE[tissue]
    return known
