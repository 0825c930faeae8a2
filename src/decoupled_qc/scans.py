"""One scan from anywhere: a file in, checked and scaled to [0, 1]; a changed one out, in its own grid and units."""

import os
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from torch import Tensor

from decoupled_qc.errors import InputError
from decoupled_qc.files import write_whole
from decoupled_qc.images import SUFFIXES, as_nifti, check_geometry, open_image

RESOLUTION = 2.0**-16  # of a scan's range, finer than any scanner's numbers


@dataclass(frozen=True)
class Scan:
    """A scan as the networks and simulators take it, and what is needed to write one like it.

    Attributes:
        path: Where it came from, or a name for what came from memory.
        image: (D, H, W), float32, min-max scaled to [0, 1].
        spacing_mm: Voxel size along each axis, mm.
        low, high: What 0 and 1 of ``image`` are in the file's own intensities.
        file: As a NIfTI image, for its affine and header.
    """

    path: Path
    image: Tensor
    spacing_mm: tuple[float, float, float]
    low: float
    high: float
    file: nib.Nifti1Image

    @property
    def has_orientation(self) -> bool:
        """Whether the header says how the axes lie in the head; without, nibabel takes them for left to right, and so on."""
        return bool(self.file.header["sform_code"] or self.file.header["qform_code"])


def read_scan(path: str | os.PathLike) -> Scan:
    """Read a scan from a ``.nii``, ``.nii.gz``, ``.mgz``, ``.mgh`` or Analyze ``.hdr`` file; orientation, oblique or not, stays.

    A fourth axis of one volume is taken off. Whether the file can hold what its header promises is checked before
    memory is taken for it.

    Raises:
        InputError: The file is missing, no image, not readable to its end, not one real-valued volume in millimetres, not
            finite, or constant.
    """
    path = Path(path)
    return as_scan(open_image(path), path)


def as_scan(file: nib.spatialimages.SpatialImage, path: str | os.PathLike) -> Scan:
    """Return an image of nibabel's as a scan, with the checks of :func:`read_scan`.

    Args:
        file: In memory or on disk.
        path: Where it came from, or a name for messages.

    Raises:
        InputError: See :func:`read_scan`.
    """
    path = Path(path)
    check_geometry(path, file)
    values = _values(path, file)
    low, high = float(values.min()), float(values.max())
    if low == high:
        raise InputError(f"{path} is constant ({low:g} everywhere), so it shows nothing: check the file.")
    if not np.finfo(np.float64).tiny < high - low < np.inf:
        raise InputError(f"{path} has intensities from {low:g} to {high:g}, which cannot be scaled: check the file.")
    scaled = values - low  # no copy more: of a large scan it may be what does not fit
    scaled /= high - low
    image = torch.from_numpy(scaled.astype(np.float32))
    spacing_mm = tuple(float(size) for size in nib.affines.voxel_sizes(file.affine))
    nifti = file if isinstance(file, nib.Nifti1Image) else as_nifti(file, file.affine)
    return Scan(path, image, spacing_mm, low, high, nifti)


def write_like(scan: Scan, image: Tensor, path: str | os.PathLike) -> None:
    """Write an image with a scan's affine, header, shape, intensity range and, where it holds whole numbers, data type.

    Whole numbers with a scale factor are intensities with a fraction, so they become floating-point ones.

    Args:
        scan: What it was made from.
        image: (D, H, W), float32, [0, 1]; 0 and 1 become the scan's own lowest and highest intensity.
        path: Of the ``.nii`` or ``.nii.gz`` file.

    Raises:
        InputError: The path is the scan's own, or has another suffix.
    """
    path = Path(path)
    if not path.name.endswith(SUFFIXES):
        raise InputError(f"{path} is no NIfTI name: end it in .nii.gz or .nii.")
    if path.exists() and path.samefile(scan.path):
        raise InputError(f"{path} is the scan itself, which is never overwritten: give another name.")
    values = scan.low + image.double().numpy() * (scan.high - scan.low)
    header = scan.file.header.copy()
    stored = header.get_data_dtype()
    is_integer = np.issubdtype(stored, np.integer) and stored.itemsize <= 4  # float64 cannot hold every larger one
    if is_integer and _scaling(scan.file) == (1.0, 0.0):
        values = np.rint(values).astype(stored)
    else:
        stored = _fine_enough(scan.low, scan.high)
        values = values.astype(stored)
        header.set_data_dtype(stored)
    with write_whole(path) as partial:
        nib.save(type(scan.file)(values.reshape(scan.file.shape), scan.file.affine, header), partial)


def _scaling(file: nib.Nifti1Image) -> tuple[float, float]:
    """Return slope and intercept from the numbers in a file to intensities; nibabel empties those of a header it has loaded."""
    return getattr(file.dataobj, "slope", 1.0), getattr(file.dataobj, "inter", 0.0)


def _fine_enough(low: float, high: float) -> type[np.floating]:
    """Return float32, or float64 for a range that is too large for it or narrow and far from 0."""
    with np.errstate(over="ignore", invalid="ignore"):
        step = np.spacing(np.float32(max(abs(low), abs(high))))
    return np.float32 if step <= RESOLUTION * (high - low) else np.float64


def _values(path: Path, file: nib.spatialimages.SpatialImage) -> np.ndarray:
    """Return the voxels of a single volume, (D, H, W), float64."""
    if np.issubdtype(file.get_data_dtype(), np.complexfloating) or file.get_data_dtype().names:
        raise InputError(f"{path} holds {file.get_data_dtype()} values: give a real-valued magnitude image.")
    try:
        with np.errstate(all="ignore"):  # what overflows is infinite, and refused below
            values = np.asanyarray(file.dataobj, dtype=np.float64).reshape(file.shape[:3])
    except Exception as error:  # nibabel, gzip and zlib each raise their own kinds
        raise InputError(f"{path} cannot be read to its end ({error}): copy it again.") from error
    if not np.isfinite(values).all():
        raise InputError(
            f"{path} has voxels that are NaN or infinite ({(~np.isfinite(values)).sum()}): replace them first."
        )
    return values
