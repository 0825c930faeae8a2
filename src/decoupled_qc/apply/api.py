"""The same from Python: arrays, nibabel images or files in, maps and a row out."""

import os
from functools import lru_cache
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import ArrayLike, NDArray

from decoupled_qc.apply.folder import SHIPPED, open_model
from decoupled_qc.apply.predictor import Predictor, Result
from decoupled_qc.apply.results_folder import REFERENCE
from decoupled_qc.errors import InputError
from decoupled_qc.models import CARD, WEIGHTS
from decoupled_qc.scans import Scan, as_scan, read_scan


def predict(
    image: str | os.PathLike | nib.spatialimages.SpatialImage | NDArray,
    *,
    affine: ArrayLike | None = None,
    model: str | os.PathLike | None = None,
) -> Result:
    """Return grey matter, uncertainty by cause, and the verdict on one scan, as ``decoupled-qc predict`` does.

    A model is loaded once and kept for later calls.

    Args:
        image: A file, an image of nibabel's, or an array (D, H, W) of real numbers in any unit.
        affine: (4, 4), voxels to millimetres; for an array, which needs it, and nothing else.
        model: Model folder; the one that comes with the package if None.

    Returns:
        ``row``, the numbers and the verdict, and ``maps``, images on the scan's own grid.

    Raises:
        InputError: The scan or the model cannot be used.
    """
    folder = SHIPPED if model is None else Path(model).absolute()
    return _predictor(folder, _state(folder))(_scan(image, affine))


@lru_cache(maxsize=2)
def _predictor(folder: Path, state: tuple) -> Predictor:
    """Load a model; ``state`` is what tells that its files are not those that were loaded."""
    return Predictor(open_model(None if folder == SHIPPED else folder))


def _state(folder: Path) -> tuple:
    """Return sizes and times of the files that a model consists of."""
    files = [folder / name for name in (WEIGHTS, CARD, REFERENCE)]
    return tuple((file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file())


def _scan(image: object, affine: ArrayLike | None) -> Scan:
    if isinstance(image, np.ndarray) != (affine is not None):
        raise InputError("An array needs its affine, voxels to millimetres; a file or an image brings its own.")
    if isinstance(image, np.ndarray):
        if np.isrealobj(image):  # NIfTI knows neither bool nor float16, and nibabel asks before it writes int64
            image = image.astype(np.float64)
        affine = np.asarray(affine, dtype=np.float64)
        if affine.shape != (4, 4):
            raise InputError(f"The affine has shape {affine.shape}: give (4, 4), voxels to millimetres.")
        return as_scan(nib.Nifti1Image(image, affine), "array")
    if isinstance(image, nib.spatialimages.SpatialImage):
        return as_scan(image, image.get_filename() or "image")
    return read_scan(image)
