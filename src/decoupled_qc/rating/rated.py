"""The real condition of a cohort with rated scans."""

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import torch

from decoupled_qc.causes import NO_ARTEFACT
from decoupled_qc.cohort.manifest import REAL, read_manifest
from decoupled_qc.errors import InputError
from decoupled_qc.files import write_whole
from decoupled_qc.rating.judgements import acquisition
from decoupled_qc.simulation.kspace import rescale

UNNAMED = "real"  # the artefact of a scan whose name does not tell how it was acquired


def has_rated(manifest: Path) -> bool:
    """Say whether a cohort has scans with real artefacts and ratings."""
    return (read_manifest(manifest)["role"] == REAL).any()


def write_rated(manifest: Path, folder: Path, *, worst: int, best: int) -> None:
    """Write the rated scans of a cohort as a condition, see :func:`decoupled_qc.simulation.conditions.write_condition`.

    ``rating`` in its ``scans.tsv`` is turned so that 1 is worst and higher is better, as in the paper. A scan with the best
    rating counts as without artefact; the ``artefact`` of any other is the acquisition in its BIDS name, if it has one.

    Args:
        manifest: Of the cohort.
        folder: To make, when its scans are whole; label paths are relative to it.
        worst, best: Ends of the raters' scale; worst may be the larger number.

    Raises:
        InputError: A rating is outside the scale.
    """
    table = read_manifest(manifest)
    low, high = sorted((worst, best))
    with write_whole(folder) as partial:
        partial.mkdir()
        rows = []
        for scan in table[table["role"] == REAL].itertuples():
            rating = float(scan.rating)
            if not low <= rating <= high:
                raise InputError(
                    f"{manifest}: scan {scan.scan} has rating {scan.rating}, outside {low} to {high}: correct it, or config key "
                    "cohort.scans.rating."
                )
            file = nib.load(manifest.parent / scan.image)
            image = rescale(torch.from_numpy(file.get_fdata(dtype=np.float32)))
            nib.save(nib.Nifti1Image(image.numpy(), file.affine), partial / f"{scan.scan}_T1w.nii.gz")
            rows.append(
                {
                    "scan": scan.scan,
                    "subject": scan.subject,
                    "anatomy": scan.anatomy,
                    "condition": REAL,
                    "artefact": NO_ARTEFACT if rating == best else acquisition(scan.scan) or UNNAMED,
                    "severity": np.nan,
                    "image": f"{scan.scan}_T1w.nii.gz",
                    "dseg": os.path.relpath(manifest.parent / scan.dseg, folder),
                    "records": "[]",
                    "rating": 1 + abs(rating - worst),
                }
            )
        pd.DataFrame(rows).to_csv(partial / "scans.tsv", sep="\t", index=False)
