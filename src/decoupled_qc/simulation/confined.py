"""An artefact confined to what lies outside the brain: the image looks worse, and the task is untouched."""

from collections.abc import Sequence

import torch
from torch import Tensor

EDGE_MM = 6.0
EDGE_STEPS = 8  # heights of the edge, each a dilation


def confine(corrupted: Tensor, clean: Tensor, share: Tensor) -> Tensor:
    """Return the clean scan where the share is 0, bit for bit, and the corrupted one where it is 1.

    Args:
        corrupted, clean: (D, H, W), float32, range [0, 1]. Not rescaled afterwards, so that the brain keeps its values.
        share: (D, H, W), float32, range [0, 1], from :func:`share_of_artefact`.
    """
    return share * corrupted + (1 - share) * clean


def share_of_artefact(brain: Tensor, spacing_mm: Sequence[float], margin_mm: float, edge_mm: float) -> Tensor:
    """Return the share of the artefact w by the distance d from the brain: w = 3 u^2 - 2 u^3, u = (d - margin) / edge in [0, 1].

    d is the largest of the distances along the three axes, and u comes in steps of 1 / ``EDGE_STEPS``: a few dilations on any
    device, where a Euclidean distance costs as much as a training step. The edge of an artefact local to a part is a sigmoid
    along an axis, nowhere exactly 0; this one follows the brain, and is.

    Args:
        brain: (D, H, W), boolean, not empty.
        spacing_mm: Voxel size along each axis, mm.
        margin_mm, edge_mm: How far from the brain the artefact begins, and in what distance from there it is whole, mm.

    Returns:
        (D, H, W), float32: 0 up to the margin, 1 beyond the edge.

    Source: ours.
    """
    grown, reach = brain, [0, 0, 0]
    beyond = torch.zeros(brain.shape, device=brain.device)
    for step in range(EDGE_STEPS):
        distance_mm = margin_mm + edge_mm * (step + 0.5) / EDGE_STEPS
        for axis, voxel_mm in enumerate(spacing_mm):
            voxels = int(distance_mm / voxel_mm)
            grown = _dilate(grown, axis, voxels - reach[axis])
            reach[axis] = voxels
        beyond += ~grown
    u = beyond / EDGE_STEPS
    return u**2 * (3 - 2 * u)


def _dilate(mask: Tensor, axis: int, voxels: int) -> Tensor:
    """Return a mask (D, H, W), boolean, grown by so many voxels to both sides along an axis, in about log2(voxels) passes.

    Max-pooling, the library's way on any device, takes many times as long on a CPU, and SciPy's dilation knows no GPU.
    """
    voxels = min(voxels, mask.shape[axis] - 1)
    done = 0
    while done < voxels:
        shift = min(done + 1, voxels - done)
        kept = mask.shape[axis] - shift
        grown = mask.clone()
        grown.narrow(axis, shift, kept).logical_or_(mask.narrow(axis, 0, kept))
        grown.narrow(axis, 0, kept).logical_or_(mask.narrow(axis, shift, kept))
        mask, done = grown, done + shift
    return mask
