"""Prediction maps on disk: NIfTI with the scan's own affine, one file per map."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from decoupled_qc.inference import Prediction, predict
from decoupled_qc.models import load_model


def predict_condition(model_folder: Path, scans_table: Path, out: Path, inference: dict) -> None:
    """Predict every scan of a condition and write its maps into a folder.

    Args:
        model_folder: Weights and card.
        scans_table: ``scans.tsv`` of the condition.
        out: Existing folder.
        inference: Keyword arguments of :func:`decoupled_qc.inference.predict`, without epsilon.
    """
    network, card = load_model(model_folder)
    network.to("cuda" if torch.cuda.is_available() else "cpu", memory_format=torch.channels_last_3d)
    scans = pd.read_csv(scans_table, sep="\t")
    for scan in tqdm(scans.itertuples(), total=len(scans), desc=scans_table.parent.name, disable=None):
        file = nib.load(scans_table.parent / scan.image)
        image = torch.from_numpy(file.get_fdata(dtype=np.float32))
        write_prediction(out, scan.scan, predict(network, image, epsilon=card["epsilon"], **inference), file.affine)


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
