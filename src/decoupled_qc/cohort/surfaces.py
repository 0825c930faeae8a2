"""The cortex of S1 from its white and pial surfaces, voxelised, to check labels made another way."""

from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from decoupled_qc.errors import InputError

# Rays run through voxel centres moved by this much, so that none meets an edge or a corner that two triangles share.
OFFSET = np.array([0.0, 1.234e-4, 2.345e-4])


def read_surface(path: Path) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Read a triangle mesh.

    Returns:
        Points (n, 3) in scanner RAS millimetres (the volume's world), and triangles (m, 3) as rows of points.

    Raises:
        InputError: The file cannot be read as such.
    """
    try:
        surface = nib.load(path)
        points = surface.agg_data("pointset")
        triangles = surface.agg_data("triangle")
        return points.astype(np.float64), triangles.astype(np.int64)
    except Exception as error:  # nibabel raises many kinds
        raise InputError(f"{path} cannot be read as a GIFTI surface ({error}): fetch it again.") from error


def fill(
    points: NDArray[np.float64], triangles: NDArray[np.int64], affine: NDArray[np.float64], shape: tuple[int, int, int]
) -> NDArray[np.bool_]:
    """Return the voxels whose centre lies inside a closed surface, by the parity of crossings along the first axis.

    Args:
        points: (n, 3), world millimetres.
        triangles: (m, 3), rows of points.
        affine: (4, 4), voxels to world.
        shape: Of the volume (D, H, W).

    Returns:
        (D, H, W), boolean.
    """
    voxels = (points - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T - OFFSET
    corners = voxels[triangles]
    low = np.ceil(corners[:, :, 1:].min(1)).astype(int)
    span = np.floor(corners[:, :, 1:].max(1)).astype(int) - low
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    ab, ac = b - a, c - a
    area = ab[:, 1] * ac[:, 2] - ab[:, 2] * ac[:, 1]
    crossings = np.zeros((shape[0] + 1, *shape[1:]), dtype=np.int32)
    for step in np.ndindex(*(span.max(0) + 1)):
        hit = np.flatnonzero((span >= step).all(1) & (area != 0))
        ray = low[hit] + step
        offset = ray - a[hit, 1:]
        u = (offset[:, 0] * ac[hit, 2] - offset[:, 1] * ac[hit, 1]) / area[hit]
        v = (ab[hit, 1] * offset[:, 1] - ab[hit, 2] * offset[:, 0]) / area[hit]
        within = (u >= 0) & (v >= 0) & (u + v <= 1) & (ray >= 0).all(1) & (ray < shape[1:]).all(1)
        hit, ray, u, v = hit[within], ray[within], u[within], v[within]
        first = np.ceil(a[hit, 0] + u * ab[hit, 0] + v * ac[hit, 0]).astype(int)  # the first voxel beyond the crossing
        np.add.at(crossings, (np.clip(first, 0, shape[0]), ray[:, 0], ray[:, 1]), 1)
    return np.cumsum(crossings[:-1], axis=0) % 2 == 1
