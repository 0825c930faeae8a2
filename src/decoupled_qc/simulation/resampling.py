"""Where to sample a volume that is moved about its centre, in the terms of PyTorch's ``grid_sample``."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F


def grid_about_centre(image: Tensor, matrix: NDArray, shift: NDArray, sizes: NDArray) -> Tensor:
    """Return the places (1, D, H, W, 3) where an affine map about a volume's centre takes its voxels.

    Args:
        image: (D, H, W), which the grid is for, with its type and on its device.
        matrix: (3, 3), in the unit of the sizes.
        shift: (3,), in the same unit.
        sizes: (3,), edges of the volume, in voxels or mm.
    """
    in_cube = matrix * sizes / sizes[:, None]  # from that unit to the [-1, 1] cube that spans any volume
    theta = np.column_stack([in_cube[::-1, ::-1], (shift * 2 / sizes)[::-1]])  # grid_sample counts axes from the last
    return F.affine_grid(torch.from_numpy(theta).to(image)[None], [1, 1, *image.shape], align_corners=False)
