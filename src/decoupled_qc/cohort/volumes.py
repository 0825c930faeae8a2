"""Volumes on disk and in memory: RAS order, isotropic, and the box around a head."""

from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from decoupled_qc.errors import InputError

Box = tuple[slice, slice, slice]


def read_ras(path: Path, spacing_mm: float) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Read a volume in RAS order.

    Args:
        path: NIfTI of any axis order whose axes stand along the world's, isotropic.
        spacing_mm: That its voxels must have.

    Returns:
        (D, H, W) float32 in the file's own unit, and the (4, 4) affine to world millimetres.

    Raises:
        InputError: The file cannot be read, is not 3D, or has another spacing.
    """
    try:
        volume = nib.as_closest_canonical(nib.load(path))
        values = volume.get_fdata(dtype=np.float32)
    except Exception as error:  # nibabel, gzip and zlib each raise their own kinds
        raise InputError(f"{path} cannot be read as NIfTI ({error}): fetch it again.") from error
    spacing = np.linalg.norm(volume.affine[:3, :3], axis=0)
    if values.ndim != 3 or not np.allclose(spacing, spacing_mm, atol=1e-3):
        raise InputError(f"{path} has shape {values.shape} and voxels of {spacing} mm; {spacing_mm} mm is needed.")
    return values, volume.affine


def save(path: Path, values: NDArray, affine: NDArray) -> None:
    """Write a volume as NIfTI with its own dtype; the same values give the same bytes."""
    nib.save(nib.Nifti1Image(values, affine), path)


def save_fraction(path: Path, values: NDArray, affine: NDArray) -> None:
    """Write values in [0, 1] in steps of 1/255, a quarter of the size of float32."""
    image = nib.Nifti1Image(np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8), affine)
    image.header.set_slope_inter(1 / 255, 0)
    nib.save(image, path)


def bounding_box(mask: NDArray[np.bool_]) -> Box:
    """Return the smallest box of slices that holds a mask, which must not be empty."""
    return ndimage.find_objects(mask.astype(np.uint8))[0]


def grow(box: Box, margins: list[tuple[int, int]]) -> Box:
    """Return a box with (before, after) voxels more per axis; it may reach outside the volume, see :func:`cut`."""
    pairs = zip(box, margins, strict=True)
    return tuple(slice(side.start - before, side.stop + after) for side, (before, after) in pairs)


def cut(values: NDArray, box: Box) -> NDArray:
    """Return the part of a volume in a box, zero where the box reaches outside it."""
    padding = [(max(-side.start, 0), max(side.stop - n, 0)) for side, n in zip(box, values.shape, strict=True)]
    moved = tuple(
        slice(side.start + before, side.stop + before) for side, (before, _) in zip(box, padding, strict=True)
    )
    return np.pad(values, padding)[moved]


def cut_affine(affine: NDArray, box: Box) -> NDArray:
    """Return the affine of the part of a volume in a box."""
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ [side.start for side in box]
    return moved
