"""From a scan's own grid to the model's and back."""

import nibabel as nib
import numpy as np
import torch
from nibabel.processing import resample_from_to
from numpy.typing import NDArray
from torch import Tensor

from decoupled_qc.apply.head import find_head
from decoupled_qc.cohort.volumes import bounding_box, cut, cut_affine, grow
from decoupled_qc.errors import InputError
from decoupled_qc.grids import isotropic, unit_range
from decoupled_qc.images import MAX_VOXELS
from decoupled_qc.scans import Scan

MARGIN_MM = 10.0  # of air kept around the head: ghosts show there
BLACK_PERCENTILE = 1.0  # what is darker, such as the ringing of an earlier resampling, must not lift the air
MIN_MM = 30.0  # what is thinner than this shows no brain
MAX_MM = 600.0  # what is longer is no head, whatever its header claims


def to_model_grid(scan: Scan, spacing_mm: float) -> tuple[Tensor, NDArray[np.float64]]:
    """Return a scan as the model's training scans were: RAS, isotropic, the head with a margin, intensities [0, 1].

    The air around a head is cut away, so that a mean over the volume does not depend on the field of view.

    Args:
        scan: Of any orientation and voxel size.
        spacing_mm: Of the model.

    Returns:
        The image (D, H, W), float32, [0, 1], and its (4, 4) affine.

    Raises:
        InputError: It is too thin or too large, or shows next to nothing.
    """
    extent_mm = np.multiply(scan.image.shape, scan.spacing_mm)
    if extent_mm.min() < MIN_MM or min(scan.image.shape) < 4:
        size = " x ".join(f"{side:.0f}" for side in extent_mm)
        raise InputError(f"{scan.path} covers {size} mm: give a scan of a whole brain.")
    if extent_mm.max() > MAX_MM:
        size = " x ".join(f"{side:.0f}" for side in extent_mm)
        raise InputError(f"{scan.path} covers {size} mm, far more than a head: correct its voxel size, or crop it.")
    if np.prod(extent_mm / spacing_mm) > MAX_VOXELS:
        size = " x ".join(f"{side:.0f}" for side in extent_mm)
        raise InputError(
            f"{scan.path} covers {size} mm, which at the model's {spacing_mm:g} mm is more than {MAX_VOXELS} voxels: crop it."
        )
    black = np.percentile(scan.image.numpy(), BLACK_PERCENTILE)
    lifted = np.clip(scan.image.numpy() - np.float32(black), 0, None)
    file = isotropic(nib.Nifti1Image(lifted, scan.file.affine), spacing_mm)
    values = np.asarray(file.dataobj)
    if np.percentile(values, 99.9) <= 0:
        raise InputError(
            f"{scan.path} shows next to nothing: nearly all voxels have the lowest value, so check the file."
        )
    image = unit_range(values)
    head = find_head(image)
    if not head.any():
        raise InputError(f"{scan.path} shows no solid bright object, such as a head: look at the file.")
    margin = int(np.ceil(MARGIN_MM / spacing_mm))
    box = tuple(
        slice(max(side.start, 0), min(side.stop, n))
        for side, n in zip(grow(bounding_box(head), [(margin, margin)] * 3), image.shape, strict=True)
    )
    return torch.from_numpy(cut(image, box)), cut_affine(file.affine, box)


def to_native(values: Tensor, affine: NDArray[np.float64], scan: Scan) -> NDArray[np.float32]:
    """Return a map of the model's grid on the scan's own: linear, 0 outside what the model saw.

    Args:
        values: (D, H, W), float32.
        affine: (4, 4), of their grid.
        scan: Whose grid to take.
    """
    target = (tuple(scan.image.shape), scan.file.affine)
    moved = resample_from_to(nib.Nifti1Image(values.numpy(), affine), target, order=1)
    return np.asarray(moved.dataobj, dtype=np.float32)
