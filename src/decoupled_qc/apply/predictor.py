"""One scan through a model: maps on its own grid, what was measured, and the verdict."""

import logging
import time
from dataclasses import dataclass

import nibabel as nib
import numpy as np
import torch
from numpy.typing import NDArray

from decoupled_qc.apply.folder import Model
from decoupled_qc.apply.measures import measure
from decoupled_qc.apply.oddities import oddities
from decoupled_qc.apply.space import to_model_grid, to_native
from decoupled_qc.apply.verdict import judge
from decoupled_qc.causes import TASK
from decoupled_qc.inference import predict as infer
from decoupled_qc.precision import best_device
from decoupled_qc.predictions import Prediction
from decoupled_qc.scans import Scan
from decoupled_qc.threads import side_by_side
from decoupled_qc.units import MM3_PER_ML

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """What a model says of a scan.

    Attributes:
        maps: ``gm_probseg`` ([0, 1], float32), ``gm_dseg`` (0 or 1, uint8), ``<cause>_variance`` and ``total_variance`` (>= 0,
            float32, the task left out of the total), images on the scan's own grid.
        row: Verdict and numbers, the columns of ``predictions.csv`` but those that name files.
        measures: What :func:`decoupled_qc.apply.measures.measure` returned.
    """

    maps: dict[str, nib.Nifti1Image]
    row: dict[str, object]
    measures: dict[str, float]


class Predictor:
    """A model, loaded once, on the GPU if there is one.

    Args:
        model: From :func:`decoupled_qc.apply.folder.open_model`.
    """

    def __init__(self, model: Model):
        self.model = model
        self.device = best_device()
        self._place()

    def _place(self) -> None:
        self.model.network.to(self.device, memory_format=torch.channels_last_3d)

    def __call__(self, scan: Scan) -> Result:
        """Predict a scan.

        Raises:
            InputError: It is too thin, too large, or shows nothing.
        """
        start = time.monotonic()
        maps, measures = self.measured(scan)
        row = judge(measures, self.model.reference, oddities(scan))
        row["seconds"] = time.monotonic() - start
        return Result({name: nib.Nifti1Image(values, scan.file.affine) for name, values in maps.items()}, row, measures)

    def measured(self, scan: Scan) -> tuple[dict[str, NDArray], dict[str, float]]:
        """Return a scan's maps on its own grid and what was measured, without a verdict."""
        spacing_mm = self.model.card["spacing_mm"]
        image, affine = to_model_grid(scan, spacing_mm)
        found = self._infer(image)
        maps = _native(found, affine, scan)
        voxel_ml = abs(float(np.linalg.det(scan.file.affine[:3, :3]))) / MM3_PER_ML  # also of a sheared grid
        return maps, measure(image, found, spacing_mm, maps["gm_dseg"], voxel_ml)

    def _infer(self, image: torch.Tensor) -> Prediction:
        """Run the network; from a GPU whose memory is full, move to the CPU for good."""
        settings = {"epsilon": self.model.card["epsilon"], **self.model.card["inference"]}
        try:
            return infer(self.model.network, image, **settings)
        except torch.cuda.OutOfMemoryError:
            log.warning("The GPU's memory is full: going on with the CPU.")
            self.device = torch.device("cpu")
            self._place()
            torch.cuda.empty_cache()
            return infer(self.model.network, image, **settings)


def _native(found: Prediction, affine: NDArray[np.float64], scan: Scan) -> dict[str, NDArray]:
    """Return all maps on the scan's own grid."""
    probability, *variances = side_by_side(
        lambda values: to_native(values, affine, scan), [found.probability, *found.variance.values()]
    )
    probability = probability.clip(0, 1)
    maps = {"gm_probseg": probability, "gm_dseg": (probability > 0.5).astype(np.uint8)}
    total = np.zeros_like(probability)
    for cause, values in zip(found.variance, variances, strict=True):
        maps[f"{cause}_variance"] = values
        if cause != TASK:
            total += values
    return {**maps, "total_variance": total}
