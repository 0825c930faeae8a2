"""Whole-head label maps of people as anatomies: the tissues are known, the image is painted anew for every subject.

Every structure gets a brightness of its own, drawn around that of a T1-weighted scan, so that a network meets more looks
than any scanner has and learns the shape of grey matter rather than one contrast. Tissue outside the brain is a random
mixture of fat and muscle.

Source: Billot et al. 2023 (SynthSeg), here with brightnesses of T1-weighted scans instead of arbitrary ones.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from decoupled_qc.cohort import aseg, shell
from decoupled_qc.cohort.anatomies import AIR_MM, HEAD_SPACING_MM, NECK_MM
from decoupled_qc.cohort.volumes import bounding_box, cut, cut_affine, grow, read_ras
from decoupled_qc.dseg import CSF, TISSUES, WHITE_MATTER

STRUCTURE_SD = 0.04  # of a structure's brightness, relative to white matter
OUTSIDE_SD = 0.2  # of the logarithm of the brightness of tissue outside the brain
SOFT = (507, 511)  # muscle, fat and skin: a mixture and not one brightness
# Brightness with white matter = 1, and the labels that share it: FreeSurfer's inside the brain (left and right together),
# the label maps' own outside of it.
BRAIN = [
    (1.00, (2, 41)),
    (0.98, (7, 46)),
    (0.93, (16, 28, 60, 85, 136, 137, 163, 164)),
    (0.75, (25, 57)),  # lesions
    (0.68, (3, 42)),
    (0.66, (8, 47)),
    (0.82, (10, 49)),
    (0.70, (11, 50)),
    (0.75, (12, 51)),
    (0.90, (13, 52)),
    (0.67, (17, 53)),
    (0.67, (18, 54)),
    (0.70, (26, 58)),
    (0.45, (30, 62)),  # vessels
    (0.20, (4, 5, 14, 15, 43, 44, 72)),
    (0.25, (24,)),
]
OUTSIDE = [
    (0.12, (515,)),  # compact bone
    (0.65, (514,)),  # marrow
    (0.35, (516,)),
    (0.25, (506,)),  # eyes
    (0.60, (502, 508, 509, 530)),  # mucosa, eye muscles and the like
    (0.80, (512,)),  # spinal cord
]
WHITE_TOO = (25, 57, 136, 137, 163, 164)  # lesions and small nuclei of the brainstem, which FreeSurfer's table lacks


def read_label_map(path: Path) -> tuple[NDArray[np.uint16], NDArray[np.float32], NDArray[np.float64]]:
    """Read a label map, cut to the head and a short neck.

    Args:
        path: NIfTI of any axis order, 1 mm.

    Returns:
        Labels (D, H, W), uint16, RAS; tissue fractions (3, D, H, W), float32, 0 or 1: CSF, grey and white matter; and the
        (4, 4) affine.

    Raises:
        InputError: See :func:`decoupled_qc.cohort.volumes.read_ras`.
    """
    values, affine = read_ras(path, HEAD_SPACING_MM)
    labels = np.rint(values).astype(np.uint16)
    tissues = aseg.to_tissues(labels)
    tissues[np.isin(labels, WHITE_TOO)] = WHITE_MATTER
    lowest = np.nonzero((tissues > CSF).any((0, 1)))[0][0]
    tissues[:, :, :lowest] = 0  # fluid of the spine
    head = bounding_box(labels > 0)
    head = (*head[:2], slice(max(lowest - NECK_MM, head[2].start), head[2].stop))
    box = grow(head, [(AIR_MM, AIR_MM)] * 2 + [(0, AIR_MM)])
    tissues = cut(tissues, box)
    fractions = np.stack([tissues == tissue for tissue in TISSUES]).astype(np.float32)
    return cut(labels, box), fractions, cut_affine(affine, box)


def depth(labels: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Return how deep each voxel of a label map lies below the head's surface, mm, (D, H, W)."""
    return ndimage.distance_transform_edt(labels > 0).astype(np.float32) * np.float32(HEAD_SPACING_MM)


def paint(labels: NDArray[np.uint16], depth_mm: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a head with a random brightness for every structure; partial volume and noise come later.

    Args:
        labels: (D, H, W), of :func:`read_label_map`.
        depth_mm: (D, H, W), of :func:`depth`: the same for all paintings of a head.
        rng: For all draws.

    Returns:
        (D, H, W), float32, >= 0, white matter about 1, 0 in the air.
    """
    brightness = np.zeros(int(labels.max()) + 1, np.float32)
    for groups, spread in ((BRAIN, _about), (OUTSIDE, _times)):
        for mean, members in groups:
            drawn = spread(mean, rng)
            for member in members:
                if member < len(brightness):
                    brightness[member] = drawn
    image = brightness[labels]
    soft = np.isin(labels, SOFT)
    image[soft] = _times(1.0, rng) * shell.soft_tissue(depth_mm, rng)[soft]
    return image


def _about(mean: float, rng: np.random.Generator) -> float:
    return max(mean + rng.normal(0, STRUCTURE_SD), 0.02)


def _times(mean: float, rng: np.random.Generator) -> float:
    return mean * np.exp(rng.normal(0, OUTSIDE_SD))
