"""What is measured on a scan and its maps; the same for a validation scan, which makes the reference, and for a user's."""

import math

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from decoupled_qc.apply.head import find_head
from decoupled_qc.causes import TASK
from decoupled_qc.evaluation import metrics
from decoupled_qc.evaluation.regions import enclosed_white, rim
from decoupled_qc.measures.cnr import tissue_cnr
from decoupled_qc.measures.snr import tissue_snr
from decoupled_qc.predictions import Prediction
from decoupled_qc.units import MM3_PER_ML


def measure(
    image: Tensor, found: Prediction, spacing_mm: float, native_label: NDArray[np.uint8], native_voxel_ml: float
) -> dict[str, float]:
    """Return the scores and properties of a scan.

    - ``gm_volume_ml``: volume of the label in the scan's own grid.
    - ``volume_scale_ml``: sum of the voxels' variances (eq. 8) above that of certain voxels, what error bars scale with.
    - ``uncertainty_<artefact>``, ``task_uncertainty``: mean variance over the box around the head, eq. 9; higher is worse.
    - ``artefact_uncertainty``: that of all artefacts together.
    - ``box_per_gm``: voxels of that box per voxel of predicted grey matter; times a mean it is the variance per voxel of that.
    - ``snr``, ``cnr``: eq. 10 and 11, in predicted grey matter and :func:`decoupled_qc.evaluation.regions.enclosed_white`;
      higher is better.
    - ``head_ml``, ``head_level``, ``head_spread``, ``grey_level``: volume, mean and standard deviation of what is brighter
      than air, and mean of grey matter, intensities in [0, 1]: what a scan of another kind differs in.
    - ``rim_level``: median of :func:`decoupled_qc.evaluation.regions.rim` over that of grey matter, below 1 where what surrounds
      grey matter is darker, as cerebrospinal fluid is in a T1-weighted scan.
    - ``edge_share``: share of grey matter in the outermost voxels, next to 0 unless the field of view cuts the brain.

    Args:
        image: (D, H, W), float32, [0, 1], on the model's grid.
        found: Its maps.
        spacing_mm: Of that grid.
        native_label: The label on the scan's own grid, 0 or 1.
        native_voxel_ml: Volume of a voxel of that.
    """
    voxel_ml = spacing_mm**3 / MM3_PER_ML
    values, grey = image.numpy(), found.label.numpy().astype(bool)
    excess = metrics.excess_variance(metrics.entropy(found.probability.numpy()))
    means = {cause: metrics.mean_uncertainty(value.numpy()) for cause, value in found.variance.items()}
    head = find_head(values)
    return {
        "gm_volume_ml": float(native_label.sum()) * native_voxel_ml,
        "volume_scale_ml": float(excess.sum()) * voxel_ml,
        "task_uncertainty": means.pop(TASK),
        "artefact_uncertainty": sum(means.values()),
        **{f"uncertainty_{cause}": mean for cause, mean in means.items()},
        "box_per_gm": grey.size / max(int(grey.sum()), 1),
        "snr": tissue_snr(values, grey),
        "cnr": tissue_cnr(values, grey, enclosed_white(values, grey, (spacing_mm,) * 3)),
        "head_ml": float(head.sum()) * voxel_ml,
        "head_level": float(values[head].mean()) if head.any() else math.nan,
        "head_spread": float(values[head].std()) if head.any() else math.nan,
        "grey_level": float(values[grey].mean()) if grey.any() else math.nan,
        "rim_level": _rim_level(values, grey, spacing_mm),
        "edge_share": _edge_share(values, grey),
    }


def _rim_level(image: NDArray[np.float32], grey: NDArray[np.bool_], spacing_mm: float) -> float:
    """Return how bright the rim is in units of grey matter, NaN where either is missing or grey matter is black."""
    around = rim(grey, (spacing_mm,) * 3)
    level = float(np.median(image[grey])) if grey.any() else 0.0
    return float(np.median(image[around])) / level if around.any() and level > 0 else math.nan


def _edge_share(image: NDArray[np.float32], grey: NDArray[np.bool_]) -> float:
    """Return the share of grey matter in the outermost layers of voxels, NaN without any.

    Resampling may leave the outermost layer of a face without a value; then the next one counts too.
    """
    if not grey.any():
        return math.nan
    inside = []
    for axis in range(3):
        filled = image.any(axis=tuple(other for other in range(3) if other != axis))
        inside.append(slice(1 if filled[0] else 2, -1 if filled[-1] else -2))
    return 1 - float(grey[tuple(inside)].sum() / grey.sum())
