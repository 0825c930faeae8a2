"""Random diffeomorphic warps: a smooth stationary velocity field, integrated by scaling and squaring."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation
from torch.nn import functional as F

from decoupled_qc.errors import InputError

GRID_MM = 4.0  # of the velocity field, fine beside the smoothness of any field that makes sense on a head
SQUARINGS = 6


@dataclass(frozen=True)
class Warp:
    """A map from a subject's voxels to points of its anatomy.

    Args:
        points_mm: (3, D, H, W), float32: where each voxel lies in the anatomy, mm from the volume's centre.
        min_jacobian: Smallest Jacobian determinant of the map over the volume; above 0 means that nothing folds.
        max_displacement_mm: Longest displacement over the volume.
    """

    points_mm: NDArray[np.float32]
    min_jacobian: float
    max_displacement_mm: float


def random_warp(
    shape: tuple[int, int, int],
    spacing_mm: float,
    rng: np.random.Generator,
    *,
    fields: Sequence[dict[str, float]],
    scale_sd: float,
    rotation_sd_deg: float,
) -> Warp:
    """Draw a random affine followed by a random diffeomorphism.

    Args:
        shape: Of the subject's volume (D, H, W), centred on the anatomy.
        spacing_mm: Of the subject's voxels.
        rng: Where the draws come from.
        fields: Gaussian velocity fields to add: ``amplitude_mm`` is the standard deviation of each component,
            ``smoothness_mm`` the standard deviation of the Gaussian kernel that smooths it.
        scale_sd: Standard deviation of the logarithm of the scale per axis.
        rotation_sd_deg: Standard deviation of the rotation about each axis.

    Raises:
        InputError: The warp folds: its smallest Jacobian determinant is not above 0.

    Source: stationary velocity fields and scaling and squaring, Arsigny et al. 2006 (Log-Euclidean framework).
    """
    extent_mm = np.array(shape) * spacing_mm
    coarse = tuple(np.ceil(extent_mm / GRID_MM).astype(int) + 1)
    velocity_mm = sum(_smooth_field(coarse, rng, **field) for field in fields)
    displacement_mm = integrate(velocity_mm, GRID_MM)
    scale = np.exp(rng.normal(0, scale_sd, 3))
    matrix = Rotation.from_euler("xyz", rng.normal(0, rotation_sd_deg, 3), degrees=True).as_matrix() * scale

    axes_mm = [(np.arange(n) - (n - 1) / 2) * spacing_mm for n in shape]
    grid_mm = np.stack(np.meshgrid(*axes_mm, indexing="ij")).astype(np.float32)
    centre = (np.array(coarse) - 1) / 2
    shift_mm = sample(displacement_mm, grid_mm / GRID_MM + centre.reshape(3, 1, 1, 1).astype(np.float32))
    points_mm = np.einsum("ij,jxyz->ixyz", matrix, grid_mm + shift_mm).astype(np.float32)

    lowest = float(jacobian_determinant(points_mm, spacing_mm).min())
    if not lowest > 0:
        raise InputError(
            f"A subject's warp folds (smallest Jacobian determinant {lowest:.3f}): "
            "lower cohort.warp's amplitude_mm, or raise its smoothness_mm."
        )
    return Warp(points_mm, lowest, float(np.linalg.norm(points_mm - grid_mm, axis=0).max()))


def integrate(velocity_mm: NDArray[np.float32], spacing_mm: float) -> NDArray[np.float32]:
    """Return the displacement of the flow of a stationary velocity field after unit time.

    Args:
        velocity_mm: (3, D, H, W), float32.
        spacing_mm: Of its grid.

    Returns:
        (3, D, H, W), float32, millimetres.
    """
    displacement = velocity_mm / (spacing_mm * 2**SQUARINGS)
    identity = np.indices(velocity_mm.shape[1:], dtype=np.float32)
    for _ in range(SQUARINGS):
        places = identity + displacement
        displacement = displacement + sample(displacement, places)
    return displacement * spacing_mm


def sample(values: NDArray[np.float32], places: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return channels at given places, linearly interpolated; beyond the border the border's values go on.

    Args:
        values: (C, D, H, W), float32.
        places: (3, d, h, w), float32, voxels of ``values``.

    Returns:
        (C, d, h, w), float32.
    """
    sizes = torch.tensor(values.shape[1:], dtype=torch.float32).reshape(3, 1, 1, 1)
    grid = (torch.from_numpy(places) * 2 / (sizes - 1) - 1).flip(0).movedim(0, -1)  # x, y, z of the last axis first
    taken = F.grid_sample(torch.from_numpy(values)[None], grid[None], padding_mode="border", align_corners=True)
    return taken[0].numpy()


def jacobian_determinant(points_mm: NDArray[np.float32], spacing_mm: float) -> NDArray[np.float32]:
    """Return the Jacobian determinant of a map by central differences.

    Args:
        points_mm: (3, D, H, W): where each voxel is taken.
        spacing_mm: Of the voxels.

    Returns:
        (D, H, W), float32: local volume change, 1 where volume is kept, not above 0 where the map folds.
    """
    j = np.stack([np.stack(np.gradient(part, spacing_mm)) for part in points_mm])
    return (
        j[0, 0] * (j[1, 1] * j[2, 2] - j[1, 2] * j[2, 1])
        - j[0, 1] * (j[1, 0] * j[2, 2] - j[1, 2] * j[2, 0])
        + j[0, 2] * (j[1, 0] * j[2, 1] - j[1, 1] * j[2, 0])
    )


def _smooth_field(
    shape: tuple[int, ...], rng: np.random.Generator, *, amplitude_mm: float, smoothness_mm: float
) -> NDArray[np.float32]:
    """Draw a vector field of the wanted standard deviation per component; periodic, so without a calm border."""
    noise = rng.standard_normal((3, *shape), dtype=np.float32)
    smooth = ndimage.gaussian_filter(noise, (0, *[smoothness_mm / GRID_MM] * 3), mode="wrap")
    smooth -= smooth.mean(axis=(1, 2, 3), keepdims=True)  # a shift of the whole head would only push it out of view
    return smooth * np.float32(amplitude_mm / smooth.std())
