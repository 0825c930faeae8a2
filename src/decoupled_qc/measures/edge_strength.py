"""Average edge strength."""

import math

import numpy as np
import SimpleITK as sitk

from decoupled_qc.evaluation.evidence import Evidence

TITLE = "Average edge strength"
HIGHER_IS_BETTER = True
OF_IMAGE = True
MISSING = "no slice has an edge"
CANNY_SD_VOXELS = 1.4  # of the smoothing before edges are looked for
CANNY_SLOPES = (0.0125, 0.025)  # lower and upper threshold, of the brightest intensity per voxel


def measure(evidence: Evidence) -> dict[str, float]:
    """Return the average edge strength of the scan."""
    return {"scan": average_edge_strength(evidence.image)}


def average_edge_strength(image: np.ndarray) -> float:
    """Return the average edge strength, mean over axial slices of sqrt(sum E |grad x|^2) / sum E; higher is better.

    E is 1 on the edges that Canny's detector finds in a slice and 0 elsewhere; x is the scan over its 99.95th percentile,
    so that the unit of intensity does not matter. Blur weakens edges, noise adds weak ones. NaN where no slice has an edge.

    Args:
        image: (D, H, W), >= 0; slices along the last axis.

    Source: Pannetier et al. 2016, MRM 75:810; the best reference-free measure in Marchetto et al. 2024, arXiv 2412.18389.
    """
    brightest = float(np.percentile(image, 99.95))
    if brightest <= 0:
        return math.nan
    strengths = []
    for number in range(image.shape[2]):
        # A copy without metadata: voxels are the unit of length.
        part = sitk.GetImageFromArray(np.ascontiguousarray(image[:, :, number] / brightest, dtype=np.float32))
        edges = sitk.GetArrayFromImage(sitk.CannyEdgeDetection(part, *CANNY_SLOPES, [CANNY_SD_VOXELS**2] * 2)) > 0
        if edges.any():
            squares = sum(slope[edges] ** 2 for slope in np.gradient(image[:, :, number] / brightest))
            strengths.append(math.sqrt(squares.sum(dtype=np.float64)) / edges.sum())
    return float(np.mean(strengths)) if strengths else math.nan
