"""The same patches of validation scans, clean and damaged, looked at every so often while a network trains."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from decoupled_qc import artefacts
from decoupled_qc.causes import CLEAN
from decoupled_qc.network import DecoupledUNet
from decoupled_qc.precision import autocast
from decoupled_qc.seeds import rng_for
from decoupled_qc.training.objective import dice_of
from decoupled_qc.training.sampling import Case, Corruption


def damaged(case: Case, name: str, corruption: Corruption, severity: float, seed: int) -> Tensor:
    """Return a validation scan with one artefact all over it, always the same.

    Args:
        case: Clean.
        name: Of the artefact, or ``clean``.
        corruption: The artefacts' settings.
        severity: (0, 1].
        seed: The run's.

    Returns:
        (D, H, W), float32, [0, 1].
    """
    if name == CLEAN:
        return artefacts.corrupt(case.image, [])
    record = artefacts.sample_record(
        name,
        severity,
        tuple(case.image.shape),
        corruption.spacing_mm,
        rng_for(seed, case.subject, name, "diagnostics"),
        corruption.settings[name],
        local_probability=0.0,
    )
    return artefacts.corrupt(case.image, [record])


class HeldOut:
    """One window of each validation scan, clean and with each artefact: an upper corner, another for each scan in turn.

    It holds cortex and air as most patches in training and most windows at inference do. Whole scans cost as much as many steps;
    they are looked at once, at the end (:func:`decoupled_qc.training.diagnostics.diagnose`).

    Args:
        cases: Validation subjects.
        corruption: Artefacts to apply, one at a time.
        patch_size: Voxels.
        severity: Of every artefact, (0, 1].
        seed: The run's.
        key: Names the scans and how they are damaged: looks at others belong into another table.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        corruption: Corruption,
        *,
        patch_size: int,
        severity: float,
        seed: int,
        key: str,
    ):
        self.key = key
        names = [CLEAN, *corruption.names, *corruption.others]
        self.images = {
            name: torch.stack(
                [
                    _corner(damaged(case, name, corruption, severity, seed), patch_size, n)
                    for n, case in enumerate(cases)
                ]
            )
            for name in names
        }
        self.label = torch.stack([_corner(case.label, patch_size, n) for n, case in enumerate(cases)])

    @torch.no_grad()
    def look(self, network: DecoupledUNet, step: int, precision: str) -> tuple[list[dict[str, float | str]], Tensor]:
        """Return what a network says now, in numbers and as a picture; it is left in evaluation mode.

        Args:
            network: On any device.
            step: Steps of training done.
            precision: Of the forward pass, see :func:`decoupled_qc.precision.autocast`.

        Returns:
            One row per input: ``step``, ``input`` (clean or an artefact), ``n_scans``, ``dice``, ``twice_cross_entropy`` and
            ``variance_<cause>``, means over the patches. And the middle axial slice of the first scan, (H, W), [0, 1]: a
            row per input; from left to right the image, the segmentation, and the variance of each cause up to 1.
        """
        network.eval()
        device = next(network.parameters()).device
        rows, strips = [], []
        for name, images in self.images.items():
            with autocast(precision, device):
                logits, log_variance = network(images[:, None].to(device, memory_format=torch.channels_last_3d))
            label, maps = self.label.to(device), log_variance.float().exp()
            variance = maps.mean(dim=(0, 2, 3, 4))
            row = {
                "step": step,
                "input": name,
                "n_scans": len(images),
                "dice": float(dice_of(logits, label)),
                "twice_cross_entropy": 2 * float(F.cross_entropy(logits.float(), label.long())),
            }
            rows.append(
                row | {f"variance_{cause}": float(v) for cause, v in zip(network.causes, variance, strict=True)}
            )
            segmentation = (logits[0, 1] > logits[0, 0]).float()
            volumes = [images[0].to(device), segmentation, *maps[0].clamp(max=1)]
            strips.append(torch.cat([volume[:, :, volume.shape[2] // 2].T.flip(0) for volume in volumes], dim=1))
        return rows, torch.cat(strips)


def _corner(volume: Tensor, side: int, number: int) -> Tensor:
    """Return the cube in one of the four upper corners (RAS); a smaller volume is padded with zeros."""
    at_end = (number % 2, number // 2 % 2, 1)
    starts = [max(n - side, 0) * end for n, end in zip(volume.shape, at_end, strict=True)]
    padding = [amount for n in reversed(volume.shape) for amount in (0, max(side - n, 0))]
    return F.pad(volume[tuple(slice(start, start + side) for start in starts)], padding)
