"""FreeSurfer's segmentation values as tissues, for cohorts that come with labels of FreeSurfer, FastSurfer or SynthSeg."""

import numpy as np
from numpy.typing import NDArray

from decoupled_qc.dseg import CSF, GREY_MATTER, WHITE_MATTER

# Tissue value of a *_dseg.nii.gz → values of FreeSurferColorLUT.txt. Deep grey matter and cerebellar cortex are grey
# matter; brainstem, ventral diencephalon and lesions of white matter are white matter.
VALUES = {
    CSF: (4, 5, 14, 15, 24, 30, 31, 43, 44, 62, 63, 72),
    GREY_MATTER: (3, 8, 9, 10, 11, 12, 13, 17, 18, 19, 20, 26, 42, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 58),
    WHITE_MATTER: (2, 7, 16, 28, 41, 46, 60, 77, 80, 85, 192, *range(250, 256)),
}
KNOWN = frozenset({0}).union(*VALUES.values())
CORTEX = ((1000, 1036), (2000, 2036))  # parcels of the aparc atlas, left and right


def is_aseg(labels: NDArray) -> bool:
    """Return whether all values of a label volume are FreeSurfer's."""
    return all(value in KNOWN or _is_cortex(value) for value in np.unique(labels).tolist())


def to_tissues(labels: NDArray) -> NDArray[np.uint8]:
    """Return 0 background, 1 CSF, 2 grey matter, 3 white matter.

    Args:
        labels: Any shape, whole numbers: FreeSurfer's values; others become background.
    """
    tissues = np.zeros(labels.shape, np.uint8)
    for tissue, values in VALUES.items():
        tissues[np.isin(labels, values)] = tissue
    for first, end in CORTEX:
        tissues[(labels >= first) & (labels < end)] = 2
    return tissues


def _is_cortex(value: float) -> bool:
    return any(first <= value < end for first, end in CORTEX)
