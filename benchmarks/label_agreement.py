"""Dice between the classical tissue labels and a scan's FreeSurfer labels, by tissue and by structure.

Usage: python benchmarks/label_agreement.py IMAGE ASEG ATLAS [--csv FILE], with two NIfTI files on one grid and the folder of the
average brain (resources/heads/icbm152 after any run). ``measure``: ``dice`` (higher is better, 1 is agreement in every voxel),
``volume_ratio`` (1 is best, above it too much), ``called_grey`` and ``called_white``, shares of a structure's voxels. Of these
structures all but white matter and brainstem are grey matter.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from nibabel.processing import resample_from_to

from decoupled_qc.cohort import aseg
from decoupled_qc.cohort.anatomies import most_probable
from decoupled_qc.cohort.label import read_atlas
from decoupled_qc.cohort.prepare import classical_fractions
from decoupled_qc.dseg import GREY_MATTER, WHITE_MATTER
from decoupled_qc.evaluation.metrics import dice

REGISTRATION_MM = 2.0
TISSUES = {GREY_MATTER: "grey matter", WHITE_MATTER: "white matter", 1: "CSF"}
STRUCTURES = {
    "cerebral white matter": (2, 41),
    "cerebral cortex": (3, 42),
    "cerebellar cortex": (8, 47),
    "thalamus": (10, 49),
    "caudate": (11, 50),
    "putamen": (12, 51),
    "pallidum": (13, 52),
    "hippocampus, amygdala": (17, 18, 53, 54),
    "brainstem": (16,),
}


def main() -> None:
    """Label, compare, print, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("image", "aseg", "atlas"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--csv", type=Path, help="table to write: region, measure, value")
    arguments = parser.parse_args()
    scan, values = nib.load(arguments.image), np.asanyarray(nib.load(arguments.aseg).dataobj)
    fractions = classical_fractions(scan, read_atlas(arguments.atlas), REGISTRATION_MM)
    moved = [resample_from_to(part, scan, order=1).get_fdata(dtype=np.float32) for part in fractions]
    table = pd.DataFrame(agreement(most_probable(np.stack(moved)), values), columns=["region", "measure", "value"])
    print(table.to_string(index=False, float_format="{:.3f}".format))
    if arguments.csv:
        table.to_csv(arguments.csv, index=False, float_format="%.3f")


def agreement(found: np.ndarray, values: np.ndarray) -> Iterator[tuple[str, str, float]]:
    """Yield (region, measure, value).

    Args:
        found: (D, H, W), classical labels, see :mod:`decoupled_qc.dseg`.
        values: (D, H, W), FreeSurfer's.
    """
    expected = aseg.to_tissues(values)
    for tissue, name in TISSUES.items():
        one, other = found == tissue, expected == tissue
        yield name, "dice", dice(one, other)
        yield name, "volume_ratio", one.sum() / other.sum()
    for name, structure in STRUCTURES.items():
        inside = np.isin(values, structure)
        yield name, "called_grey", (found[inside] == GREY_MATTER).mean()
        yield name, "called_white", (found[inside] == WHITE_MATTER).mean()


if __name__ == "__main__":
    main()
