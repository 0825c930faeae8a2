"""An image file opened with what its header claims checked, before any memory is taken for its voxels."""

import logging
import math
import os
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from decoupled_qc.errors import InputError

log = logging.getLogger(__name__)

SUFFIXES = (".nii", ".nii.gz")
MGH_SUFFIXES = (".mgz", ".mgh")
ANALYZE_SUFFIX = ".img"
OTHER_UNITS = ("meter", "micron")
SIZES_MM = (1e-3, 1e3)  # of a voxel: anything else is no scan of a head
AFFINE_TOLERANCE_MM = 0.1  # between the affines of a scan and its label
MAX_VOXELS = 2**28  # a cube of 640 voxels; what claims to be more is refused before memory is taken
DEFLATE_RATIO = 1032  # the most that gzip can compress


def open_image(path: Path) -> nib.spatialimages.SpatialImage:
    """Open an image and check what its header claims, before any memory is taken for its voxels.

    Raises:
        InputError: The file is missing, no image, shorter than its header says, or not one volume in millimetres.
    """
    file = _load(path)
    _check_size(file)
    if not isinstance(file, nib.Nifti1Image | nib.MGHImage):
        file = _from_analyze(path, file)
    check_geometry(path, file)
    return file


def check_geometry(path: Path, file: nib.spatialimages.SpatialImage) -> None:
    """Check shape, units and affine of an image.

    Args:
        path: Named in messages.
        file: In memory or on disk.

    Raises:
        InputError: It is not one volume with three axes in millimetres, or claims more than ``MAX_VOXELS``.
    """
    shape = file.shape
    if len(shape) < 3 or any(n != 1 for n in shape[3:]) or min(shape) < 1:
        raise InputError(f"{path} has shape {shape}: give one volume with three axes.")
    if math.prod(map(int, shape)) > MAX_VOXELS:
        raise InputError(
            f"{path} has shape {shape}, more than {MAX_VOXELS} voxels: crop it, or give it coarser voxels."
        )
    try:
        units = file.header.get_xyzt_units()[0] if isinstance(file, nib.Nifti1Image) else "mm"
    except KeyError as error:
        code = int(file.header["xyzt_units"])
        raise InputError(
            f"{path} has a code of units, {code}, that NIfTI does not know: correct its header."
        ) from error
    if units in OTHER_UNITS:
        raise InputError(f"{path} measures its voxels in units of a {units}: convert its header to millimetres.")
    with np.errstate(all="ignore"):  # what is not finite is refused here
        sizes = nib.affines.voxel_sizes(file.affine)
    low, high = SIZES_MM
    if not (np.isfinite(file.affine).all() and (sizes > low).all() and (sizes < high).all()):
        told = " x ".join(f"{size:.3g}" for size in sizes)
        raise InputError(f"{path} has an affine with voxels of {told} mm: correct its header.")
    if abs(np.linalg.det(file.affine[:3, :3] / sizes)) < 0.1:
        raise InputError(f"{path} has an affine whose axes nearly lie in a plane: correct its header.")


def _load(path: Path) -> nib.spatialimages.SpatialImage:
    if not os.path.exists(path):  # which also takes names that no file can have
        raise InputError(f"{path} does not exist: check the name.")
    if not os.path.isfile(path):
        raise InputError(f"{path} is no file: give a NIfTI file.")
    try:
        file = nib.load(path)
    except Exception as error:  # nibabel, gzip and zlib each raise their own kinds
        raise InputError(f"{path} cannot be read as an image ({error}): give a NIfTI file.") from error
    known = isinstance(file, nib.Nifti1Image | nib.MGHImage)
    if not known and (isinstance(file, nib.Nifti1Pair) or not isinstance(file, nib.AnalyzeImage)):
        raise InputError(f"{path} is a {type(file).__name__}, not NIfTI: convert it to .nii.gz first.")
    return file


def _from_analyze(path: Path, file: nib.AnalyzeImage) -> nib.Nifti1Image:
    """Return an Analyze image as NIfTI; its header cannot say where left is, and its origin, if any, is SPM's own use of it."""
    log.warning(
        "%s is Analyze, which does not say where left is: its first axis is taken to run from right to left.", path
    )
    return as_nifti(file, file.header.get_base_affine())


def as_nifti(file: nib.spatialimages.SpatialImage, affine: NDArray[np.float64]) -> nib.Nifti1Image:
    """Return an image of another format as NIfTI, without reading its voxels.

    Args:
        file: As opened.
        affine: (4, 4), voxels to world millimetres.
    """
    nifti = nib.Nifti1Image(file.dataobj, affine, dtype=file.get_data_dtype().newbyteorder("="))
    nifti.header.set_xyzt_units("mm")
    return nifti


def _check_size(file: nib.spatialimages.SpatialImage) -> None:
    """Refuse a file that is too short for its header: of a compressed one, shorter than any compression could make it."""
    path = Path(file.file_map["image"].filename)  # of Analyze not the header
    name = path.name.lower()
    if not path.is_file():
        raise InputError(f"{path} is missing, which holds the voxels: copy it too.")
    if not name.endswith((*SUFFIXES, *MGH_SUFFIXES, ANALYZE_SUFFIX)):  # bzip2 and the like have no largest ratio
        raise InputError(f"{path} is compressed as no image should be: make it .nii.gz or .nii.")
    promised = math.prod(map(int, file.shape)) * file.get_data_dtype().itemsize
    there = path.stat().st_size
    most = there * (DEFLATE_RATIO if name.endswith((".gz", ".mgz")) else 1)
    if promised > most:
        raise InputError(
            f"{path} has {there} bytes, too few for the {'x'.join(map(str, file.shape))} voxels that its header promises: "
            "copy it again."
        )
