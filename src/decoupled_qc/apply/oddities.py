"""What can be told from a scan's header and intensities alone: that it is none of the kind that the model was made for."""

import numpy as np

from decoupled_qc.scans import Scan

SPACING_MM = (0.3, 3.0)  # of voxels that show cortex
FEW_VALUES = 32  # a mask or a label image has fewer, a scan of 8 bits more
HOUNSFIELD = (-500.0, 0.05)  # at least this share of a CT is air below this
SAMPLED = 1_000_000  # voxels that are looked at


def oddities(scan: Scan) -> list[str]:
    """Return in words what makes a scan unlike a T1-weighted MRI scan; empty if nothing does.

    Args:
        scan: As read.
    """
    image = scan.image.numpy()
    sample = image.ravel()[:: max(1, image.size // SAMPLED)]
    found = []
    if min(scan.spacing_mm) < SPACING_MM[0] or max(scan.spacing_mm) > SPACING_MM[1]:
        sizes = " x ".join(f"{size:.3g}" for size in scan.spacing_mm)
        found.append(f"voxels of {sizes} mm, outside {SPACING_MM[0]} to {SPACING_MM[1]} mm")
    if len(np.unique(sample)) < FEW_VALUES:
        found.append(f"only {len(np.unique(sample))} different intensities, as in a mask or a label image")
    level, share = HOUNSFIELD
    if scan.low < level and np.mean(scan.low + sample * (scan.high - scan.low) < level) > share:
        found.append("air far below zero, as in a CT scan")
    if not scan.has_orientation:
        found.append("a header without orientation")
    return found
