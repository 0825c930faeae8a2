"""The losses of the decoupled uncertainty model (Shaw et al. 2021; equation numbers of Shaw et al. 2020)."""

from torch import Tensor
from torch.nn import functional as F

SSIM_C1 = 0.01**2  # variances are drawn on a 0-1 scale in the papers, so the data range is 1
SSIM_C2 = 0.03**2
SSIM_WINDOW = 3


def cross_entropy(logits: Tensor, label: Tensor) -> Tensor:
    """Return the cross-entropy of each voxel in nats: CE = -f_c + log sum_c' exp(f_c'); higher is worse.

    Args:
        logits: (B, 2, D, H, W), float.
        label: (B, D, H, W), integer class of each voxel.

    Returns:
        (B, D, H, W), float32.
    """
    return F.cross_entropy(logits.float(), label.long(), reduction="none")


def attenuated_cross_entropy(ce: Tensor, variance: Tensor, epsilon: float, beta: float) -> Tensor:
    """Return the mean likelihood loss, eq. 4 and 5: CE / (v + epsilon) + 1/2 log(v + epsilon); higher is worse.

    ``v`` is the variance, or the sum of the variances of all causes (eq. 5). The minimiser over v is
    max(2 CE - epsilon, 0) whatever beta is; without beta the loss is never below 1/2 log(epsilon).

    Args:
        ce: (B, D, H, W), cross-entropy in nats.
        variance: (B, D, H, W), total variance, >= 0.
        epsilon: Added once to the total variance, > 0.
        beta: Each voxel's loss is multiplied by (v + epsilon)^beta without gradient, [0, 1]. 0 is the paper. At 0 every
            voxel, easy or hard, pulls the segmentation about equally, which is slow; at 1 it learns as without variance.

    Source: Shaw et al. 2020, eq. 4, 5 and p. 739; beta: Seitzer et al. 2022.
    """
    total = variance.float() + epsilon
    return ((ce / total + 0.5 * total.log()) * total.detach() ** beta).mean()


def absence_divergence(variance: Tensor, present: Tensor, beta: float) -> Tensor:
    """Return what the variance of an absent artefact costs, by voxel: KL(N(0, p) || N(0, p + v)) (p + v)^beta; higher is worse.

    = 1/2 (log((p + v) / p) - v / (p + v)) (p + v)^beta, 0 without v. It is :func:`attenuated_cross_entropy` where the errors
    are what ``present`` promises, less its minimum. So a head that cannot tell whether its artefact is there, with probability
    q, and that adds e to twice the cross-entropy if so, ends at q e: the heads of artefacts that look alike share what
    they add, where the mean variance as a cost silences all of them.

    Args:
        variance: (B, D, H, W), of the absent artefact, >= 0.
        present: (B, D, H, W), variance of all that is there, epsilon included, > 0; without gradient.
        beta: As in :func:`attenuated_cross_entropy`.

    Returns:
        (B, D, H, W), float32.

    Source: ours.
    """
    total = variance.float() + present
    return 0.5 * ((total / present).log() - variance / total) * total.detach() ** beta


def consistency(predicted: Tensor, target: Tensor, ssim_weight: float, ssim_form: str) -> Tensor:
    """Return eq. 7: how far a variance map is from its pseudo-label; 0 when equal, higher is worse.

    L1 = mean |p - t|; plus the L1 of forward differences summed over the three axes; plus
    ``ssim_weight`` times the structural dissimilarity.

    Args:
        predicted: (B, D, H, W), variance (not log-variance).
        target: (B, D, H, W), variance by the frozen network.
        ssim_weight: lambda; 0.1 in the paper.
        ssim_form: ``one_minus`` for 1 - SSIM, ``half`` for (1 - SSIM) / 2.

    Source: Shaw et al. 2020, eq. 7.
    """
    predicted, target = predicted.float(), target.float()
    difference = predicted - target
    loss = difference.abs().mean()
    for axis in (1, 2, 3):
        loss = loss + difference.diff(dim=axis).abs().mean()
    if ssim_weight:
        dissimilarity = 1 - ssim(predicted[:, None], target[:, None]).mean()
        loss = loss + ssim_weight * (dissimilarity / 2 if ssim_form == "half" else dissimilarity)
    return loss


def ssim(first: Tensor, second: Tensor) -> Tensor:
    """Return the structural similarity of each 3x3x3 window (plain average, no padding); 1 when equal.

    Args:
        first, second: (B, C, D, H, W), float32, data range 1.

    Returns:
        (B, C, D-2, H-2, W-2).

    Source: Wang et al. 2004; the plain average filter is the paper's, C1 = 0.01^2 and C2 = 0.03^2 are our choice.
    """
    mean_1, mean_2 = _window_mean(first), _window_mean(second)
    variance_1 = (_window_mean(first * first) - mean_1 * mean_1).clamp(min=0)
    variance_2 = (_window_mean(second * second) - mean_2 * mean_2).clamp(min=0)
    covariance = _window_mean(first * second) - mean_1 * mean_2
    luminance = (2 * mean_1 * mean_2 + SSIM_C1) / (mean_1 * mean_1 + mean_2 * mean_2 + SSIM_C1)
    return luminance * (2 * covariance + SSIM_C2) / (variance_1 + variance_2 + SSIM_C2)


def _window_mean(values: Tensor) -> Tensor:
    """Return the mean of each window, one axis after the other: a third of the time of average pooling on a CPU."""
    for axis in (2, 3, 4):
        n = values.shape[axis] - SSIM_WINDOW + 1
        values = sum(values.narrow(axis, start, n) for start in range(SSIM_WINDOW)) / SSIM_WINDOW
    return values
