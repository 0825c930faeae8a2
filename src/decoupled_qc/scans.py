"""One scan from anywhere: a NIfTI file in, checked and scaled to [0, 1]; a changed one out, in its own grid and units."""

import math
import os
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from torch import Tensor

from decoupled_qc.errors import InputError
from decoupled_qc.files import write_whole

SUFFIXES = (".nii", ".nii.gz")
OTHER_UNITS = ("meter", "micron")
SIZES_MM = (1e-3, 1e3)  # of a voxel: anything else is no scan of a head
SMALLEST_SINE = 1e-4  # of axes in an affine; nearer to a plane nothing can be resampled
DEFLATE_RATIO = 1032  # what gzip compresses to at most
WORKING_BYTES = 8 + 8  # of a voxel while a scan is read and scaled
RESOLUTION = 2.0**-16  # of a scan's range, finer than any scanner's numbers


@dataclass(frozen=True)
class Scan:
    """A scan as the networks and simulators take it, and what is needed to write one like it.

    Attributes:
        path: Where it came from.
        image: (D, H, W), float32, min-max scaled to [0, 1].
        spacing_mm: Voxel size along each axis, mm.
        low, high: What 0 and 1 of ``image`` are in the file's own intensities.
        file: The NIfTI image, for its affine and header.
    """

    path: Path
    image: Tensor
    spacing_mm: tuple[float, float, float]
    low: float
    high: float
    file: nib.Nifti1Image


def read_scan(path: str | os.PathLike) -> Scan:
    """Read a scan from a NIfTI file; orientation, oblique or not, stays as it is.

    A fourth axis of one volume is taken off.

    Raises:
        InputError: The file is missing, no NIfTI, not readable to its end, not one real-valued volume in millimetres, not
            finite, or constant.
    """
    path = Path(path)
    file = open_image(path)
    values = _values(path, file)
    low, high = float(values.min()), float(values.max())
    if low == high:
        raise InputError(f"{path} is constant ({low:g} everywhere), so it shows nothing: check the file.")
    if not np.finfo(np.float64).tiny < high - low < np.inf:
        raise InputError(f"{path} has intensities from {low:g} to {high:g}, which cannot be scaled: check the file.")
    values -= low  # in place: a copy more of a large scan may be what does not fit
    values /= high - low
    image = torch.from_numpy(values.astype(np.float32))
    spacing_mm = tuple(float(size) for size in nib.affines.voxel_sizes(file.affine))
    return Scan(path, image, spacing_mm, low, high, file)


def write_like(scan: Scan, image: Tensor, path: str | os.PathLike) -> None:
    """Write an image with a scan's affine, header, shape, intensity range and, where it holds whole numbers, data type.

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
    if is_integer and header.get_slope_inter() in ((1.0, 0.0), (None, None)):
        values = np.rint(values).astype(stored)
    else:
        stored = _fine_enough(scan.low, scan.high)
        values = values.astype(stored)
        header.set_data_dtype(stored)
    with write_whole(path) as partial:
        nib.save(type(scan.file)(values.reshape(scan.file.shape), scan.file.affine, header), partial)


def _fine_enough(low: float, high: float) -> type[np.floating]:
    """Return float32, or float64 for a range that is too large for it or narrow and far from 0."""
    with np.errstate(over="ignore", invalid="ignore"):
        step = np.spacing(np.float32(max(abs(low), abs(high))))
    return np.float32 if step <= RESOLUTION * (high - low) else np.float64


def open_image(path: Path) -> nib.Nifti1Image:
    """Open a NIfTI file and check what its header claims, before any memory is taken for its voxels.

    Raises:
        InputError: The file is missing, no NIfTI, not in millimetres, without a usable affine, smaller than its header says, or
            larger than this machine's memory.
    """
    if not os.path.isfile(path):  # which also takes names that no file can have
        raise InputError(f"{path} {'is no file' if os.path.exists(path) else 'does not exist'}: check the name.")
    try:
        file = nib.load(path)
        with np.errstate(all="ignore"):  # what is not finite is refused below
            sizes, turned = nib.affines.voxel_sizes(file.affine), np.linalg.det(file.affine[:3, :3])
    except Exception as error:  # nibabel, gzip and zlib each raise their own kinds
        raise InputError(f"{path} cannot be read as an image ({error}): give a NIfTI file.") from error
    if not isinstance(file, nib.Nifti1Image):
        raise InputError(f"{path} is a {type(file).__name__}, not NIfTI: convert it to .nii.gz first.")
    units = file.header.get_xyzt_units()[0]
    if units in OTHER_UNITS:
        raise InputError(f"{path} measures its voxels in units of a {units}: convert its header to millimetres.")
    low, high = SIZES_MM
    if not (np.isfinite(file.affine).all() and (sizes > low).all() and (sizes < high).all()):
        raise InputError(f"{path} has an affine with voxels of {_by(sizes)} mm: correct its header.")
    if abs(turned) < SMALLEST_SINE * sizes.prod():
        raise InputError(f"{path} has an affine that folds its three axes into a plane: correct its header.")
    _check_claim(path, file)
    return file


def _check_claim(path: Path, file: nib.Nifti1Image) -> None:
    """Compare the number of bytes that the header asks for with what the file can hold, and with this machine's memory."""
    if not path.name.lower().endswith(SUFFIXES):  # bzip2 and the like have no largest ratio
        raise InputError(f"{path} is compressed as no NIfTI should be: make it .nii.gz or .nii.")
    n_voxels = math.prod(int(n) for n in file.shape)
    claimed = n_voxels * file.get_data_dtype().itemsize
    most = path.stat().st_size * (DEFLATE_RATIO if path.name.lower().endswith(".gz") else 1)
    if claimed > most:
        raise InputError(
            f"{path} has a header for {claimed} bytes of voxels (shape {file.shape}), and the file holds no more than {most}: "
            "copy it again."
        )
    needed = n_voxels * WORKING_BYTES
    if needed > os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"):
        raise InputError(
            f"{path} has shape {file.shape}, which takes {needed / 2**30:.0f} GiB, more than this machine's memory: crop it."
        )


def _by(sizes: np.ndarray) -> str:
    return " x ".join(f"{size:.3g}" for size in sizes)


def _values(path: Path, file: nib.Nifti1Image) -> np.ndarray:
    """Return the voxels of a single volume, (D, H, W), float64."""
    if np.issubdtype(file.get_data_dtype(), np.complexfloating) or file.get_data_dtype().names:
        raise InputError(f"{path} holds {file.get_data_dtype()} values: give a real-valued magnitude image.")
    shape = file.shape
    if len(shape) < 3 or any(n != 1 for n in shape[3:]) or 0 in shape:
        raise InputError(f"{path} has shape {shape}: give one volume with three axes.")
    try:
        with np.errstate(all="ignore"):  # what overflows is infinite, and refused below
            values = np.asanyarray(file.dataobj, dtype=np.float64).reshape(shape[:3])
    except Exception as error:  # nibabel, gzip and zlib each raise their own kinds
        raise InputError(f"{path} cannot be read to its end ({error}): copy it again.") from error
    if not np.isfinite(values).all():
        raise InputError(
            f"{path} has voxels that are NaN or infinite ({(~np.isfinite(values)).sum()}): replace them first."
        )
    return values
