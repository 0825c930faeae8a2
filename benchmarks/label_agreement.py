"""Dice between the classical tissue labels and a scan's FreeSurfer labels, by tissue and by structure.

Usage: python benchmarks/label_agreement.py IMAGE ASEG ATLAS, with two NIfTI files on one grid and the folder of the
average brain (resources/heads/icbm152 after any run). Higher is better; 1 is agreement in every voxel.
"""

import sys
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.processing import resample_from_to

from decoupled_qc.cohort import aseg
from decoupled_qc.cohort.anatomies import most_probable
from decoupled_qc.cohort.label import read_atlas
from decoupled_qc.cohort.prepare import classical_fractions

REGISTRATION_MM = 2.0
STRUCTURES = {
    "cerebral cortex": (3, 42),
    "cerebellar cortex": (8, 47),
    "thalamus": (10, 49),
    "caudate": (11, 50),
    "putamen": (12, 51),
    "pallidum": (13, 52),
    "hippocampus, amygdala": (17, 18, 53, 54),
}


def main(image: str, labels: str, atlas: str) -> None:
    scan, reference = nib.load(image), nib.load(labels)
    fractions = classical_fractions(scan, read_atlas(Path(atlas)), REGISTRATION_MM)
    moved = [resample_from_to(part, scan, order=1).get_fdata(dtype=np.float32) for part in fractions]
    found, values = most_probable(np.stack(moved)), np.asanyarray(reference.dataobj)
    expected = aseg.to_tissues(values)
    for tissue, name in ((2, "grey matter"), (3, "white matter"), (1, "CSF")):
        one, other = found == tissue, expected == tissue
        print(f"{name:24} Dice {2 * (one & other).sum() / (one.sum() + other.sum()):.3f}")
        print(f"{'':24} volume ratio {one.sum() / other.sum():.2f}")
    for name, structure in STRUCTURES.items():
        inside = np.isin(values, structure)
        print(f"{name:24} called grey {(found[inside] == 2).mean():.2f}, white {(found[inside] == 3).mean():.2f}")
    print(f"{'brainstem':24} called grey {(found[values == 16] == 2).mean():.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
