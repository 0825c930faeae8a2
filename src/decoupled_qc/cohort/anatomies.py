"""A labelled head on disk, at the heads' own 1 mm: what subjects are made from."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from decoupled_qc.cohort.volumes import read_ras, save, save_fraction

HEAD_SPACING_MM = 1.0  # of every head that packages carry
AIR_MM = 8  # kept around a head, so that a warped one stays in view
NECK_MM = 30  # kept below a brain
LABELS = "labels.nii.gz"  # of a whole-head label map
TISSUE_NAMES = ("CSF", "GM", "WM")  # by their values in decoupled_qc.dseg, from 1


@dataclass(frozen=True)
class Anatomy:
    """A whole head and its tissues.

    Args:
        image: (D, H, W), float32, [0, 1], RAS, 1 mm.
        fractions: (3, D, H, W), float32, [0, 1]: CSF, grey and white matter; the sum is 1 in the brain, 0 outside.
        affine: (4, 4), voxels to world millimetres.
        labels: (D, H, W), uint16: of a label map, whose ``image`` is but one of many that it can have; None for a scan.
    """

    image: NDArray[np.float32]
    fractions: NDArray[np.float32]
    affine: NDArray[np.float64]
    labels: NDArray[np.uint16] | None = None

    @property
    def label(self) -> NDArray[np.uint8]:
        """The most probable class per voxel: 0 background, 1 CSF, 2 grey matter, 3 white matter."""
        return most_probable(self.fractions)


def most_probable(fractions: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the label of tissue fractions: background where no tissue has more than what they leave of 1.

    Args:
        fractions: (3, D, H, W), float32, [0, 1].
    """
    return np.concatenate([1 - fractions.sum(0, keepdims=True), fractions]).argmax(0).astype(np.uint8)


def write_anatomy(folder: Path, anatomy: Anatomy) -> None:
    """Write ``T1w``, ``label-<tissue>_probseg``, ``dseg`` and perhaps ``labels`` (``.nii.gz``) into an existing folder."""
    save(folder / "T1w.nii.gz", anatomy.image, anatomy.affine)
    for tissue, fraction in zip(TISSUE_NAMES, anatomy.fractions, strict=True):
        save_fraction(folder / f"label-{tissue}_probseg.nii.gz", fraction, anatomy.affine)
    save(folder / "dseg.nii.gz", anatomy.label, anatomy.affine)
    if anatomy.labels is not None:
        save(folder / LABELS, anatomy.labels, anatomy.affine)


def read_anatomy(folder: Path) -> Anatomy:
    """Read what :func:`write_anatomy` wrote.

    Raises:
        InputError: A file is missing or cannot be read.
    """
    image, affine = read_ras(folder / "T1w.nii.gz", HEAD_SPACING_MM)
    files = [folder / f"label-{tissue}_probseg.nii.gz" for tissue in TISSUE_NAMES]
    fractions = np.stack([read_ras(file, HEAD_SPACING_MM)[0] for file in files])
    map_file = folder / LABELS
    labels = read_ras(map_file, HEAD_SPACING_MM)[0].astype(np.uint16) if map_file.exists() else None
    return Anatomy(image, fractions, affine, labels)
