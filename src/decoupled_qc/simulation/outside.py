"""A test condition in which artefacts lie outside the brain alone."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from decoupled_qc import artefacts
from decoupled_qc.errors import InputError
from decoupled_qc.simulation.conditions import Made
from decoupled_qc.simulation.confined import EDGE_MM, confine, share_of_artefact
from decoupled_qc.simulation.kspace import rescale

CONDITION = "outside"
# Ours: some fluid and bone around the brain stay clean, and half of a head's volume lies further out than both together.
MARGIN_MM = 4.0


def outside(image: Tensor, simulated: pd.DataFrame) -> list[Made]:
    """Return each simulated scan of a subject with its artefact outside the brain alone; nothing is drawn anew.

    The ``records`` are the simulated scan's, with ``outside``: the margin and the edge of
    :func:`decoupled_qc.simulation.confined.share_of_artefact`, mm.

    Args:
        image: (D, H, W), float32, the clean scan.
        simulated: The subject's rows of what :func:`decoupled_qc.scan_table.read_conditions` returns.

    Raises:
        InputError: A label is empty.
    """
    scans = []
    for row in simulated.itertuples():
        corrupted = torch.from_numpy(nib.load(row.image).get_fdata(dtype=np.float32))
        where = {"margin_mm": MARGIN_MM, "edge_mm": EDGE_MM}
        records = [{**record, "outside": where} for record in json.loads(row.records)]
        confined = _confined(corrupted, image, row.dseg, where)
        scans.append(Made(confined, row.artefact, row.severity, records))
    return scans


def remake(row: pd.Series, image: Tensor, label_path: Path) -> Tensor:
    """Return a scan of this condition again, bit for bit.

    Args:
        row: Of its ``scans.tsv``.
        image: (D, H, W), float32, the clean scan.
        label_path: Of the clean scan's label: the row's ``dseg``, which is relative to the folder of the table.

    Raises:
        InputError: The label is empty.
    """
    records = json.loads(row["records"])
    return _confined(artefacts.corrupt(image, records), image, label_path, records[0]["outside"])


def _confined(corrupted: Tensor, image: Tensor, label_path: Path, where: dict[str, float]) -> Tensor:
    """Return the corrupted scan outside the brain and the clean one inside."""
    label = nib.load(label_path)
    brain = np.asanyarray(label.dataobj) > 0
    if not brain.any():
        raise InputError(
            f"{label_path} labels no tissue, so nothing tells where the brain ends: label the subject anew."
        )
    share = share_of_artefact(torch.from_numpy(brain), nib.affines.voxel_sizes(label.affine), **where)
    return confine(corrupted, rescale(image), share)
