"""What a network says of a scan; on disk, NIfTI with the scan's own affine, one file per map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np

if TYPE_CHECKING:  # who only reads predictions need not wait for torch
    from torch import Tensor


@dataclass(frozen=True)
class Prediction:
    """What a network says of a volume.

    Attributes:
        probability: (D, H, W), grey-matter probability from the logits scaled by the total variance, [0, 1].
        log_odds: (D, H, W), of grey matter by the logits as they are, f_GM - f_background.
        variance: cause → (D, H, W), variance of that cause, >= 0.
    """

    probability: Tensor
    log_odds: Tensor
    variance: dict[str, Tensor]

    @property
    def label(self) -> Tensor:
        """(D, H, W), uint8: 1 where grey matter is the more probable class."""
        return (self.probability > 0.5).byte()


def write_prediction(folder: Path, scan: str, found: Prediction, affine: np.ndarray) -> None:
    """Write ``<scan>_label-GM_probseg``, ``<scan>_dseg`` and ``<scan>_desc-<cause>_variance`` as ``.nii.gz``.

    Maps are rounded to half precision, far finer than they are reproducible, because that halves the files.

    Args:
        folder: Existing folder.
        scan: Name of the scan.
        found: Maps on the scan's grid.
        affine: (4, 4), of the scan.
    """
    maps = {
        "label-GM_probseg": found.probability,
        **{f"desc-{cause}_variance": value for cause, value in found.variance.items()},
    }
    for name, values in maps.items():
        rounded = values.half().float().numpy()
        nib.save(nib.Nifti1Image(rounded, affine), folder / f"{scan}_{name}.nii.gz")
    nib.save(nib.Nifti1Image(found.label.numpy(), affine), folder / f"{scan}_dseg.nii.gz")


def read_prediction(folder: Path, scan: str) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Read a scan's maps.

    Returns:
        Grey-matter probability (float32), label (uint8), and cause → variance (float32), each (D, H, W).
    """

    def read(name: str) -> np.ndarray:
        return np.asanyarray(nib.load(folder / name).dataobj)

    variance_files = sorted(path.name for path in folder.glob(f"{scan}_desc-*_variance.nii.gz"))
    variance = {
        name.removeprefix(f"{scan}_desc-").removesuffix("_variance.nii.gz"): read(name) for name in variance_files
    }
    return read(f"{scan}_label-GM_probseg.nii.gz"), read(f"{scan}_dseg.nii.gz"), variance
