"""Whole volumes through a patch network."""

from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from monai.inferers import sliding_window_inference
from torch import Tensor
from tqdm import tqdm

from decoupled_qc.models import load_model
from decoupled_qc.network import N_CLASSES, DecoupledUNet
from decoupled_qc.precision import autocast, best_device
from decoupled_qc.predictions import Prediction, write_prediction
from decoupled_qc.scan_table import read_scan_table


@torch.inference_mode()
def predict(
    network: DecoupledUNet,
    image: Tensor,
    *,
    epsilon: float,
    patch_size: int,
    overlap: float,
    batch_size: int,
    precision: str,
    mirror: bool,
) -> Prediction:
    """Segment a volume and map the variance of each cause.

    Windows are blended with Gaussian weights, on the logits f and on the variances exp(s) (not on s); then the
    probability is softmax(f / (total variance + epsilon)), eq. 1.

    Args:
        network: In evaluation mode; the volume is processed on its device.
        image: (D, H, W), float32, range [0, 1].
        epsilon: That of the network's last training step.
        patch_size: Side of a window, voxels.
        overlap: Of neighbouring windows, [0, 1).
        batch_size: Windows per forward pass.
        precision: Of the forward passes, see :func:`decoupled_qc.precision.autocast`.
        mirror: Take the mean with the maps of the volume mirrored along its first axis, left to right in RAS, so that a
            mirrored head is given mirrored maps; at twice the cost.

    Returns:
        Maps on the CPU.
    """

    def logits_and_variance(windows: Tensor) -> Tensor:
        with autocast(precision, device):
            logits, log_variance = network(windows.contiguous(memory_format=torch.channels_last_3d))
        return torch.cat([logits.float(), log_variance.float().exp()], dim=1)

    def whole(volume: Tensor) -> Tensor:
        return sliding_window_inference(
            volume[None, None],
            roi_size=(patch_size,) * 3,
            sw_batch_size=batch_size,
            predictor=logits_and_variance,
            overlap=overlap,
            mode="gaussian",
        )[0]

    device = next(network.parameters()).device
    image = image.to(device)
    maps = whole(image)
    if mirror:
        maps = (maps + whole(image.flip(0)).flip(1)) / 2
    maps = maps.cpu()
    variance = maps[N_CLASSES:]
    log_odds = maps[1] - maps[0]
    probability = (log_odds / (variance.sum(dim=0) + epsilon)).sigmoid()
    return Prediction(probability, log_odds, dict(zip(network.causes, variance, strict=True)))


def predict_condition(model_folder: Path, scans_table: Path, out: Path, inference: dict) -> None:
    """Predict every scan of a condition and write its maps into a folder.

    Args:
        model_folder: Weights and card.
        scans_table: ``scans.tsv`` of the condition.
        out: Existing folder.
        inference: Keyword arguments of :func:`predict`, without epsilon.
    """
    network, card = load_model(model_folder)
    network.to(best_device(), memory_format=torch.channels_last_3d)
    scans = read_scan_table(scans_table)
    for scan in tqdm(scans.itertuples(), total=len(scans), desc=scans_table.parent.name, disable=None):
        file = nib.load(scans_table.parent / scan.image)
        image = torch.from_numpy(file.get_fdata(dtype=np.float32))
        write_prediction(out, scan.scan, predict(network, image, epsilon=card["epsilon"], **inference), file.affine)
