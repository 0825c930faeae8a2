"""BrainBrowser's volumes: voxels of a MINC file as they are, and its geometry as JSON, each gzipped."""

import gzip
import json
import math
from pathlib import Path

import nibabel as nib
import numpy as np

from decoupled_qc.cohort.volumes import save
from decoupled_qc.errors import InputError

HEADER, RAW, T1W = "header.json.gz", "voxels.raw.gz", "T1w.nii.gz"
WORLD_AXES = ("xspace", "yspace", "zspace")  # right, anterior, superior


def to_nifti(folder: Path) -> None:
    """Replace ``header.json.gz`` and ``voxels.raw.gz`` in a folder by ``T1w.nii.gz``, uint8, RAS.

    The affine keeps voxel sizes and the place of the volume's centre; a tilt against the world's axes is left out, as a
    head's position in the scanner is of no use here and everything that follows works along the volume's own axes.

    Args:
        folder: Holds the two files.

    Raises:
        InputError: The header lacks an axis, or counts other voxels than there are.
    """
    path = folder / HEADER
    try:
        header = json.loads(gzip.decompress(path.read_bytes()))
        order = header["order"]
        axes = [header[name] for name in order]
        shape = tuple(int(axis["space_length"]) for axis in axes)
        steps = np.array([float(axis["step"]) for axis in axes])
        starts = np.array([float(axis["start"]) for axis in axes])
        cosines = np.array([axis["direction_cosines"] for axis in axes], dtype=float)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no header of a BrainBrowser volume ({error}): fetch it again.") from error
    voxels = np.frombuffer(gzip.decompress((folder / RAW).read_bytes()), dtype=np.uint8)
    if sorted(order) != sorted(WORLD_AXES) or voxels.size != math.prod(shape):
        raise InputError(
            f"{path} describes {shape} voxels along {order}, not the {voxels.size} there are: fetch it again."
        )
    centre = (starts + steps * (np.array(shape) - 1) / 2) @ cosines  # world mm; a start lies along its own cosine
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (name, step) in enumerate(zip(order, steps, strict=True)):
        affine[WORLD_AXES.index(name), axis] = step
    affine[:3, 3] = centre - affine[:3, :3] @ (np.array(shape) - 1) / 2
    image = nib.as_closest_canonical(nib.Nifti1Image(voxels.reshape(shape), affine))
    save(folder / T1W, np.asarray(image.dataobj), image.affine)
    for name in (HEADER, RAW):
        (folder / name).unlink()
