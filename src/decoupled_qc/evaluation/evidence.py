"""What a measure may look at; parts that several measures need are made once."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from decoupled_qc.causes import TASK
from decoupled_qc.dseg import GREY_MATTER, WHITE_MATTER
from decoupled_qc.evaluation import metrics, regions


@dataclass(frozen=True, eq=False)
class Evidence:
    """A scan, its reference, and what a network says of it, all (D, H, W) on one grid.

    - ``image``: float32, [0, 1], as the network saw it;
    - ``dseg``: the reference, values of :mod:`decoupled_qc.dseg`; what looks at it is not known of a new scan;
    - ``probability``, ``predicted``: of grey matter, [0, 1] and boolean;
    - ``variance``: cause -> map, >= 0;
    - ``spacing_mm``: voxel size along each axis;
    - ``dilation_voxels``: how far around predicted grey matter a regional measure looks.
    """

    image: NDArray[np.float32]
    dseg: NDArray[np.uint8]
    probability: NDArray[np.float32]
    predicted: NDArray[np.bool_]
    variance: dict[str, NDArray[np.float32]]
    spacing_mm: tuple[float, float, float]
    dilation_voxels: int

    @cached_property
    def grey(self) -> NDArray[np.bool_]:
        """Grey matter of the reference."""
        return self.dseg == GREY_MATTER

    @cached_property
    def white(self) -> NDArray[np.bool_]:
        """White matter of the reference."""
        return self.dseg == WHITE_MATTER

    @cached_property
    def enclosed(self) -> NDArray[np.bool_]:
        """What stands in for white matter where there is no reference."""
        return regions.enclosed_white(self.image, self.predicted, self.spacing_mm)

    @cached_property
    def head_and_air(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """The head, and the air well outside it."""
        return regions.head_and_air(self.image)

    @cached_property
    def entropy(self) -> NDArray[np.float64]:
        """Of the segmentation, nats."""
        return metrics.entropy(self.probability)

    @cached_property
    def artefact_variance(self) -> NDArray[np.float32]:
        """Sum of all maps but the task's; 0 everywhere of a network that tells no artefact."""
        return sum((value for cause, value in self.variance.items() if cause != TASK), np.zeros_like(self.image))


class Looks(NamedTuple):
    """One segmentation of a scan, or several.

    - ``labels``: (N, D, H, W), boolean, grey matter;
    - ``probability``: (D, H, W), of grey matter, the mean over looks;
    - ``total_variance``: sum of all causes' variances, its mean over the volume and the looks.
    """

    labels: NDArray[np.bool_]
    probability: NDArray[np.float32]
    total_variance: float
