"""Default augmentation of every training volume: rotation, scaling, flips and a bias field (Shaw et al. 2021).

Written on torch rather than called from TorchIO: one resample serves image and labels, and TorchIO's bias field alone
costs more than a training step.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.nn import functional as F

from decoupled_qc.simulation.bias import bias_field
from decoupled_qc.simulation.kspace import rescale


def augment(
    image: Tensor,
    masks: Tensor,
    rng: np.random.Generator,
    *,
    rotation_deg: float,
    scale: tuple[float, float],
    flip_probability: Sequence[float],
    bias_order: int,
    bias_coefficient: float,
) -> tuple[Tensor, Tensor]:
    """Return a randomly rotated, scaled, flipped and biased copy of a volume, and its masks in the same place.

    Args:
        image: (D, H, W), float32, range [0, 1].
        masks: (M, D, H, W), integer, {0, 1}: the label, and what else has to move with it.
        rng: Where the draws come from.
        rotation_deg: Rotation about each axis is uniform within plus and minus this angle.
        scale: Lowest and highest scale factor, uniform per axis.
        flip_probability: Of a flip of each axis.
        bias_order: Order of the polynomial whose exponential is the bias field.
        bias_coefficient: Each coefficient is uniform within plus and minus this number.

    Returns:
        The image, min-max scaled to [0, 1], and the masks.
    """
    angles = rng.uniform(-rotation_deg, rotation_deg, 3)
    zoom = rng.uniform(*scale, 3)
    flip = np.where(rng.random(3) < flip_probability, -1.0, 1.0)
    if angles.any() or (zoom != 1).any():
        matrix = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ np.diag(flip / zoom)
        moved, moved_masks = _resample(image, masks, matrix)
    else:  # nothing but flips, which need no resampling: most of the cost of a step on large volumes
        axes = (np.flatnonzero(flip < 0) - 3).tolist()
        moved, moved_masks = image.flip(axes), masks.flip(axes)
    moved = moved * bias_field(moved.shape, rng, bias_order, bias_coefficient, moved.device)
    return rescale(moved), moved_masks


def _resample(image: Tensor, masks: Tensor, matrix: np.ndarray) -> tuple[Tensor, Tensor]:
    """Sample image and masks where ``matrix`` takes each voxel, about the volume's centre.

    A mask's linear interpolation is cut at one half: its edge then lies where the image's does. The nearest label would
    be off by up to half a voxel, much for a cortex of two voxels.
    """
    sizes = np.array(image.shape, dtype=np.float64)
    in_cube = matrix * sizes / sizes[:, None]  # from voxels to the [-1, 1] cube that spans any volume
    theta = np.column_stack([in_cube[::-1, ::-1], np.zeros(3)])  # grid_sample counts axes from the last
    grid = F.affine_grid(torch.from_numpy(theta).to(image)[None], [1, 1, *image.shape], align_corners=False)
    all_maps = torch.cat([image[None], masks.to(image.dtype)])[None]
    moved, *fractions = F.grid_sample(all_maps, grid, mode="bilinear", padding_mode="zeros", align_corners=False)[0]
    return moved, (torch.stack(fractions) > 0.5).to(masks.dtype)
