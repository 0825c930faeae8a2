"""A head for an average brain: sharp tissue and a synthetic skull and scalp around it.

An average of many people has no skull and blurred tissue. Both would teach a network things that hold in no scan, so
the brain is painted anew from its tissue fractions and wrapped in layers whose thickness and brightness are those of
T1-weighted scans of adults. Nothing here is taken from another head.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import ndtr

# Distance from the brain, mm → brightness, white matter = 1: fluid, dura, inner table, marrow, outer table, scalp.
LAYERS_MM = [0.0, 2.0, 2.8, 3.6, 4.8, 6.0, 7.5, 8.7, 10.0, 11.2, 13.5, 16.0]
LAYERS = [0.25, 0.25, 0.45, 0.10, 0.10, 0.55, 0.55, 0.10, 0.10, 1.15, 1.25, 0.70]
# Cumulative share of the tissue of face and neck, darkest first → brightness: air and bone, muscle, marrow, fat.
MIX_SHARE = [0.0, 0.15, 0.25, 0.40, 0.65, 0.75, 0.90, 1.0]
MIX = [0.05, 0.08, 0.20, 0.45, 0.60, 0.75, 1.15, 1.30]
MIX_SMOOTHNESS_MM = (3.0, 12.0)  # fat planes and vessels, muscles
MIX_FROM_MM = (3.0, 6.0)  # distance from the brain over which the mixture replaces the layers
# Depth below the surface of face and neck, mm → brightness of skin and the fat under it.
SKIN_MM = [0.0, 1.0, 4.0]
SKIN = [0.60, 1.20, 1.10]
BROW = 0.38  # of the brain's height: face and neck continue the head's outline from there down
BROW_MM = 12.0  # below it, over which the mixture sets in
TAPER = 0.12  # by which the outline shrinks per millimetre downwards
BRAIN = {"CSF": 0.28, "GM": 0.68, "WM": 1.0}
CLOSING_MM = 8.0  # smooths the brain's outline before layers are laid around it
THICKNESS_SD = 0.2  # of the layers' relative thickness over the head
THICKNESS_SMOOTHNESS_MM = 25.0
UNSHARP_MM = 2.0
UNSHARP_GAIN = 2.0
DETAIL = 1.0  # of the average scan's intensity within a tissue that is kept (brighter pallidum, darker thalamus)
SHARPNESS = 1.7  # exponent on tissue fractions
GRAIN_SD = 0.04  # fine texture, relative to white matter
GRAIN_SMOOTHNESS_MM = 0.8


def deblur(average: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return an average brain with its narrow sulci and thin white-matter blades brought back by unsharp masking.

    Without it the folds that the averaging closed count as cortex, which is then a sixth too large.

    Args:
        average: (D, H, W), float32, > 0 in the brain, 0 outside.

    Returns:
        (D, H, W), float32, of the same range in the brain's even parts, > 0 in the brain, 0 outside.
    """
    brain = average > 0
    weight = ndimage.gaussian_filter(brain.astype(np.float32), UNSHARP_MM)  # the air around must not darken the rim
    smooth = ndimage.gaussian_filter(average, UNSHARP_MM) / np.maximum(weight, 1e-3)
    darkest = average[brain].min()
    return brain * np.maximum(average + UNSHARP_GAIN * (average - smooth), darkest)


def paint_brain(
    average: NDArray[np.float32], fractions: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return a brain with the sharpness of a single scan.

    Args:
        average: (D, H, W), float32, >= 0: the average scan.
        fractions: (3, D, H, W), float32, [0, 1]: CSF, grey and white matter of the average, so themselves blurred.
        rng: For the grain.

    Returns:
        (D, H, W), float32, white matter about 1, 0 outside the brain.
    """
    means = np.array([(average * part).sum() / part.sum() for part in fractions])
    detail = (average - np.einsum("k,kxyz->xyz", means, fractions)) / means[-1]
    painted = np.einsum("k,kxyz->xyz", np.array(list(BRAIN.values())), sharpen(fractions))
    grain = GRAIN_SD * _noise(average.shape, GRAIN_SMOOTHNESS_MM, rng)
    detail = DETAIL * detail * (average > 0)  # labels may reach a voxel further than the average does
    return (painted + (detail + grain) * (fractions.sum(0) > 0)).astype(np.float32)


def sharpen(fractions: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return tissue fractions (3, D, H, W) drawn towards the most probable tissue, their sum per voxel unchanged."""
    powered = fractions**SHARPNESS
    return powered * (fractions.sum(0) / np.maximum(powered.sum(0), 1e-6))


def wrap(brain: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a head without its brain: fluid, skull with marrow, scalp, and mixed soft tissue around the base.

    Args:
        brain: (D, H, W), RAS, 1 mm, with room for the head around it.
        rng: For thickness and tissue.

    Returns:
        (D, H, W), float32, relative to white matter; 0 in the air. Its values inside ``brain`` mean nothing.
    """
    outline = brain | (ndimage.gaussian_filter(brain.astype(np.float32), CLOSING_MM) > 0.5)
    distance = ndimage.distance_transform_edt(~outline).astype(np.float32)
    distance *= np.exp(THICKNESS_SD * _noise(brain.shape, THICKNESS_SMOOTHNESS_MM, rng))
    head = distance < LAYERS_MM[-1]
    layered = np.interp(distance, LAYERS_MM, LAYERS)

    low, high = np.nonzero(brain.any((0, 1)))[0][[0, -1]]
    brow = int(low + BROW * (high - low))
    inside_mm = ndimage.distance_transform_edt(head[:, :, brow])
    levels = np.arange(brain.shape[2], dtype=np.float32)
    head |= (levels < brow) & (inside_mm[:, :, None] > TAPER * (brow - levels))
    mixed = soft_tissue(ndimage.distance_transform_edt(head), rng)
    weight = _ramp(distance, *MIX_FROM_MM) * _ramp(brow - levels, 0.0, BROW_MM)
    return (head * (weight * mixed + (1 - weight) * layered)).astype(np.float32)


def neck(outline: NDArray[np.bool_], height_mm: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return mixed soft tissue that continues a head downwards, tapering.

    Args:
        outline: (D, H), RAS, 1 mm: the head's lowest plane.
        height_mm: Of the piece to make.
        rng: For the tissue.

    Returns:
        (D, H, height_mm), float32, relative to white matter; 0 in the air.
    """
    below_mm = np.arange(height_mm, 0, -1, dtype=np.float32)
    inside_mm = ndimage.distance_transform_edt(outline)[:, :, None] - TAPER * below_mm
    return ((inside_mm > 0) * soft_tissue(inside_mm, rng)).astype(np.float32)


def soft_tissue(depth_mm: NDArray, rng: np.random.Generator) -> NDArray:
    """Return the brightness of face and neck at a depth below their surface: skin, fat, then a random mixture.

    Args:
        depth_mm: (D, H, W), millimetres, 1 mm voxels.
        rng: For the mixture.
    """
    field = sum(_noise(depth_mm.shape, smoothness_mm, rng) for smoothness_mm in MIX_SMOOTHNESS_MM)
    mixed = np.interp(ndtr(field / np.sqrt(len(MIX_SMOOTHNESS_MM))), MIX_SHARE, MIX)
    return np.where(depth_mm < SKIN_MM[-1], np.interp(depth_mm, SKIN_MM, SKIN), mixed)


def _ramp(values: NDArray, start: float, end: float) -> NDArray:
    """Return 0 below ``start``, 1 above ``end`` and a line between."""
    return np.clip((values - start) / (end - start), 0, 1)


def _noise(shape: tuple[int, ...], smoothness_mm: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw a Gaussian field of unit variance on a 1 mm grid."""
    smooth = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), smoothness_mm)
    return smooth / smooth.std()
