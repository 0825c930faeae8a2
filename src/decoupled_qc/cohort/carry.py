"""Tissue labels of a subject's good scan, moved rigidly onto the same head's scans with artefacts.

A scan with an artefact cannot be labelled well by itself, and its own label would follow the artefact. The shape of a head
does not change between two scans, so six parameters suffice; what they leave is an error of the label.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import ants
import nibabel as nib
import numpy as np

from decoupled_qc.cohort.tissues import RANDOM_SEED, to_ants

ITERATIONS = (200, 100, 50)  # at 4, 2 and 1 times the registration's spacing


def carry(
    parts: Sequence[nib.Nifti1Image], source: nib.Nifti1Image, target: nib.Nifti1Image, registration_mm: float
) -> list[nib.Nifti1Image]:
    """Return maps of one scan on the grid of another scan of the same head.

    Args:
        parts: Maps, [0, 1], in the world of ``source``.
        source, target: Scans on RAS grids; the search starts from the same place in the world.
        registration_mm: Spacing to which both are resampled for the registration.
    """
    target_image = _as_ants(target)
    fixed, moving = (
        ants.resample_image(image, [registration_mm] * 3, use_voxels=False, interp_type=0)
        for image in (target_image, _as_ants(source))
    )
    with tempfile.TemporaryDirectory() as name:
        found = ants.registration(
            fixed,
            moving,
            type_of_transform="Rigid",
            aff_metric="mattes",
            aff_iterations=ITERATIONS,
            aff_shrink_factors=(4, 2, 1),
            aff_smoothing_sigmas=(2, 1, 0),
            random_seed=RANDOM_SEED,
            outprefix=str(Path(name, "rigid_")),
        )
        moved = [
            ants.apply_transforms(target_image, _as_ants(part), found["fwdtransforms"], interpolator="linear")
            for part in parts
        ]
    return [nib.Nifti1Image(part.numpy().astype(np.float32), target.affine) for part in moved]


def _as_ants(file: nib.Nifti1Image) -> "ants.ANTsImage":
    return to_ants(file.get_fdata(dtype=np.float32), file.affine)
