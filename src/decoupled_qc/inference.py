"""Whole volumes through a patch network."""

from dataclasses import dataclass

import torch
from monai.inferers import sliding_window_inference
from torch import Tensor

from decoupled_qc.network import N_CLASSES, DecoupledUNet
from decoupled_qc.precision import autocast


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
        return (self.probability > 0.5).to(torch.uint8)


@torch.inference_mode()
def predict(
    network: DecoupledUNet,
    image: Tensor,
    *,
    epsilon: float,
    patch_size: int,
    overlap: float,
    batch_size: int,
    precision: str = "float32",
    mirror: bool = False,
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
