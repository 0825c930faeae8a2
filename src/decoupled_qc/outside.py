"""A test condition in which artefacts lie outside the brain alone: the image looks worse, and the task is untouched."""

import json
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import torch
from scipy import ndimage
from torch import Tensor

from decoupled_qc.conditions import Made
from decoupled_qc.errors import InputError
from decoupled_qc.kspace import rescale

CONDITION = "outside"
# Ours: some fluid and bone around the brain stay clean, and half of a head's volume lies further out than both together.
MARGIN_MM = 4.0
EDGE_MM = 6.0


def read_simulated(conditions: Sequence[Path]) -> pd.DataFrame:
    """Return the scans of simulated conditions.

    Args:
        conditions: Folders ``sim-<artefact>``.

    Returns:
        Their ``scans.tsv`` joined, with ``image`` and ``dseg`` as paths that do not depend on the folder.
    """
    tables = []
    for folder in map(Path, conditions):
        scans = pd.read_csv(folder / "scans.tsv", sep="\t")
        tables.append(
            scans.assign(**{column: [folder / name for name in scans[column]] for column in ("image", "dseg")})
        )
    return pd.concat(tables, ignore_index=True)


def outside(image: Tensor, simulated: pd.DataFrame) -> list[Made]:
    """Return each simulated scan of a subject with its artefact outside the brain alone; nothing is drawn anew.

    The ``records`` are the simulated scan's, with ``outside``: the margin and the edge of :func:`share_of_artefact`, mm.

    Args:
        image: (D, H, W), float32, the clean scan.
        simulated: The subject's rows of what :func:`read_simulated` returns.

    Raises:
        InputError: A label is empty.
    """
    clean = rescale(image)
    scans = []
    for row in simulated.itertuples():
        label = nib.load(row.dseg)
        brain = np.asanyarray(label.dataobj) > 0
        if not brain.any():
            raise InputError(
                f"{row.dseg} labels no tissue, so nothing tells where the brain ends: label {row.subject} anew."
            )
        share = share_of_artefact(brain, nib.affines.voxel_sizes(label.affine))
        corrupted = torch.from_numpy(nib.load(row.image).get_fdata(dtype=np.float32))
        where = {"margin_mm": MARGIN_MM, "edge_mm": EDGE_MM}
        records = [{**record, "outside": where} for record in json.loads(row.records)]
        # Not rescaled, so that the brain keeps the clean scan's bits.
        scans.append(Made(share * corrupted + (1 - share) * clean, row.artefact, row.severity, records))
    return scans


def share_of_artefact(brain: np.ndarray, spacing_mm: Sequence[float]) -> Tensor:
    """Return the share of the artefact w by the distance d from the brain: w = 3 u^2 - 2 u^3, u = (d - margin) / edge in [0, 1].

    The edge of an artefact local to a part is a sigmoid along an axis, nowhere exactly 0; this one follows the brain, and is.

    Args:
        brain: (D, H, W), boolean, not empty.
        spacing_mm: Voxel size along each axis, mm.

    Returns:
        (D, H, W), float32: 0 up to :data:`MARGIN_MM` from the brain, 1 from :data:`EDGE_MM` further out.
    """
    distance_mm = ndimage.distance_transform_edt(~brain, sampling=spacing_mm)
    u = ((distance_mm - MARGIN_MM) / EDGE_MM).clip(0, 1)
    return torch.from_numpy((u**2 * (3 - 2 * u)).astype(np.float32))
