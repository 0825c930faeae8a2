"""Volumes small enough for a page: fewer voxels, 8 bits, gzip, base64; the place in the scanner stays."""

import base64
import gzip

import nibabel as nib
import numpy as np
import torch
from torch.nn import functional as F


def read_volume(path) -> nib.Nifti1Image:
    """Read one volume, see :func:`canonical`.

    Args:
        path: Of an image that nibabel reads.
    """
    return canonical(nib.load(path))


def canonical(file: nib.spatialimages.SpatialImage) -> nib.Nifti1Image:
    """Return one volume of any orientation as float32; axes near left to right, back to front, foot to head.

    Args:
        file: A fourth axis of one volume is taken off. NaN and infinity become 0.
    """
    values = np.nan_to_num(np.asanyarray(file.dataobj, dtype=np.float32), nan=0, posinf=0, neginf=0)
    return nib.as_closest_canonical(nib.Nifti1Image(values.reshape(file.shape[:3]), file.affine))


def shrink(volume: nib.Nifti1Image, most_voxels: int) -> nib.Nifti1Image:
    """Return a volume of no more than about so many voxels, each the mean of those it covers.

    Axes are shortened to a common voxel size; an axis that is already coarser stays.
    """
    spacing_mm = nib.affines.voxel_sizes(volume.affine)
    shape = np.array(volume.shape)
    target_mm = (np.prod(shape * spacing_mm) / most_voxels) ** (1 / 3)
    smaller = np.minimum(shape, np.maximum(np.rint(shape * spacing_mm / target_mm), 1)).astype(int)
    return _resized(volume, smaller, F.adaptive_avg_pool3d)


def enlarge(volume: nib.Nifti1Image, shape: tuple[int, int, int]) -> nib.Nifti1Image:
    """Return a volume of more voxels over the same space, linear between the old ones."""
    return _resized(volume, shape, lambda values, size: F.interpolate(values, size, mode="trilinear"))


def _resized(volume: nib.Nifti1Image, shape, resize) -> nib.Nifti1Image:
    shape = tuple(int(n) for n in shape)
    values = torch.from_numpy(np.array(volume.dataobj, dtype=np.float32))[None, None]
    factor = np.array(volume.shape) / np.array(shape)
    # the centre of the first new voxel lies (factor - 1) / 2 old voxels inside
    change = nib.affines.from_matvec(np.diag(factor), (factor - 1) / 2)
    return nib.Nifti1Image(resize(values, shape)[0, 0].numpy(), volume.affine @ change)


def pack(volume: nib.Nifti1Image, low: float, high: float) -> str:
    """Return a volume as base64 text of a gzipped 8-bit NIfTI file; values are clipped to [low, high].

    The same input gives the same text.
    """
    step = (high - low) / 255 if high > low else 1.0
    levels = np.clip(np.rint((np.asarray(volume.dataobj) - low) / step), 0, 255).astype(np.uint8)
    file = nib.Nifti1Image(levels, volume.affine)
    file.header.set_slope_inter(step, low)
    file.header.set_xyzt_units("mm")
    return base64.b64encode(gzip.compress(file.to_bytes(), compresslevel=6, mtime=0)).decode()


def peak_mm(volume: nib.Nifti1Image) -> list[float]:
    """Return where a volume is highest, mm."""
    values = np.asarray(volume.dataobj)
    voxel = np.unravel_index(np.argmax(values), values.shape)
    return [round(float(x), 2) for x in nib.affines.apply_affine(volume.affine, voxel)]
