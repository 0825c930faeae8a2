"""The 3D U-Net with a segmentation head and one log-variance output per cause of uncertainty."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from decoupled_qc.causes import LOG_VARIANCE_LIMITS, TASK, TOTAL
from decoupled_qc.texture import N_OF_A_PATCH, N_SPECTRA, N_TEXTURES, over_patch, relative, spectra, texture

N_CLASSES = 2  # background, grey matter
PRESENCE_CHANNELS = 16
VARIANCES, PRESENCES = "log_variance.", "presence_of."  # how the names of these outputs' own parameters begin


class DecoupledUNet(nn.Module):
    """The "no-new-net" 3D U-Net (Isensee 2019, as in NiftyNet): grey matter, and why it is uncertain.

    Each level holds two 3x3x3 convolutions, each followed by instance norm and leaky ReLU (0.01); 2x2x2 max-pooling
    goes down, trilinear interpolation goes up, and the second convolution of the bottleneck and of each decoder block
    already reduces the channels to those of the level above. No deep supervision; the paper's has no dropout either.

    Args:
        causes: Names of the variance outputs, the task first, e.g. ``("task", "noise")``.
        channels: Feature channels per level, finest first; the paper's network is (30, 60, 120, 240, 480).
        head_channels: Channels of a 3x3x3 block before the last 1x1x1 convolution of each variance output; 0 for the
            paper's plain 1x1x1 heads, which the segmentation always has.
        start_log_variance: ``{"task": s, "artefact": s}``, where the bias of each kind of variance output starts.
        dropout: Probability with which each channel that leaves a block is dropped while :attr:`training` is set, [0, 1); a
            network from before this setting has none.
        presence: Whether the variance of each artefact is that of a patch that holds it, times the probability that this one
            does, which :meth:`presence` tells by the patch's texture and spectra. A network from before this setting does not.

    Source: Shaw et al. 2021, section 4; Isensee et al. 2019; NiftyNet ``no_new_net``; dropout: Roy et al. 2019.
    """

    def __init__(
        self,
        causes: Sequence[str],
        channels: Sequence[int],
        head_channels: int,
        start_log_variance: dict[str, float],
        dropout: float = 0.0,
        presence: bool = False,
    ):
        super().__init__()
        self.causes = tuple(causes)
        self.head_channels = head_channels
        self.dropout = dropout
        self.channels = tuple(channels)
        *levels, bottom = channels
        self.encoder = nn.ModuleList(
            _block(above, here, here) for above, here in zip([1, *levels[:-1]], levels, strict=True)
        )
        self.bottleneck = _block(levels[-1], bottom, levels[-1])
        self.decoder = nn.ModuleList(
            _block(2 * here, here, above)
            for here, above in zip(reversed(levels), [*levels[-2::-1], levels[0]], strict=True)
        )
        self.segmentation = nn.Conv3d(levels[0], N_CLASSES, 1)
        _initialise(self)
        self.log_variance = nn.ModuleDict(
            {
                cause: _Head(levels[0], head_channels, start_log_variance[TASK if cause == TASK else "artefact"])
                for cause in causes
            }
        )
        self.presence_of = nn.ModuleDict(
            {cause: _Presence() for cause in causes if presence and cause not in (TASK, TOTAL)}
        )

    @property
    def size_divisor(self) -> int:
        """Every side of an input must be a multiple of this many voxels."""
        return 2 ** (len(self.channels) - 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the class logits and the log-variances of a batch of patches.

        Args:
            image: (B, 1, D, H, W), float, range [0, 1]; sides divisible by :attr:`size_divisor`.

        Returns:
            logits: (B, 2, D, H, W), background and grey matter.
            log_variance: (B, U, D, H, W), in the order of ``causes``, limited to [-6, 4].
        """
        features, skips = image, []
        for block in self.encoder:
            features = self._drop(block(features))
            skips.append(features)
            features = F.max_pool3d(features, 2)
        features = self._drop(self.bottleneck(features))
        for block, skip in zip(self.decoder, reversed(skips), strict=True):
            upsampled = F.interpolate(features, scale_factor=2, mode="trilinear", align_corners=False)
            features = self._drop(block(torch.cat([upsampled, skip], dim=1)))
        rough = texture(image) if self.head_channels or self.presence_of else None
        raw = _of_all_heads(list(self.log_variance.values()), features, rough)
        if self.presence_of:
            share = F.logsigmoid(self._log_odds(image, rough)).detach()
            raw = raw + F.pad(share, (1, 0))[..., None, None, None]  # the task is always there
        return self.segmentation(features), limit(raw, *LOG_VARIANCE_LIMITS)

    def presence(self, image: Tensor) -> Tensor:
        """Return the log odds that each patch holds each artefact, (B, U - 1), in the order of ``causes``, float32.

        Args:
            image: As of :meth:`forward`.

        Source: ours.
        """
        return self._log_odds(image, texture(image))

    def _log_odds(self, image: Tensor, rough: Tensor) -> Tensor:
        with torch.autocast(image.device.type, enabled=False):  # what tells artefacts apart can be slight
            seen = torch.cat([relative(over_patch(rough)), relative(over_patch(spectra(image)))], dim=1)
            return torch.cat([told(seen) for told in self.presence_of.values()], dim=1)

    def _drop(self, features: Tensor) -> Tensor:
        return F.dropout3d(features, self.dropout, self.training) if self.dropout else features

    def start_from(self, *donors: "DecoupledUNet", merged: bool = False) -> None:
        """Copy what the donors have in common with this network; of several, the first that has a part gives it.

        A variance head that no donor has, a teacher's own, starts as the task's: its map is then low in the background
        from the first step. From a constant, the many easy voxels push the whole map to its lower limit, where it stays.

        Args:
            donors: Trained networks of the same width, the task net first; for the student the teachers follow, so that
                each variance head starts as its teacher's.
            merged: What all donors have, the task's variance head apart, starts as the mean of the teachers' weights: they were
                trained from the same network, and their heads fit features like these better than the task network's.

        Source of the merging: Wortsman et al. 2022, "Model soups".
        """
        own = self.state_dict()
        for donor in reversed(donors):
            own.update({key: value for key, value in donor.state_dict().items() if key in own})
        if merged and donors[1:]:
            teachers = [teacher.state_dict() for teacher in donors[1:]]
            for key in (key for key in own if not key.startswith((VARIANCES, PRESENCES))):
                own[key] = torch.stack([state[key] for state in teachers]).mean(dim=0)
        self.load_state_dict(own)
        if donors:
            for cause in set(self.causes).difference(*(donor.causes for donor in donors)):
                self.log_variance[cause].load_state_dict(donors[0].log_variance[TASK].state_dict())


class _Limit(torch.autograd.Function):
    """Clamp a value; at a limit, let through the gradient that leads back in and stop the one that leads out."""

    @staticmethod
    def forward(context, value: Tensor, low: float, high: float) -> Tensor:
        context.save_for_backward(value)
        context.limits = low, high
        return value.clamp(low, high)

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor, None, None]:
        (value,) = context.saved_tensors
        low, high = context.limits
        outward = ((value < low) & (gradient > 0)) | ((value > high) & (gradient < 0))
        return gradient.masked_fill(outward, 0), None, None


def limit(value: Tensor, low: float, high: float) -> Tensor:
    """Return a value clamped to [low, high] from which it can come back.

    A plain clamp has no gradient beyond its ends, and a soft one hardly any: a variance head that once went too far
    down would stay there for good.

    Args:
        value: Any shape.
        low, high: Limits.
    """
    return _Limit.apply(value, low, high)


def _initialise(network: nn.Module) -> None:
    """Draw He-normal weights for every convolution."""
    for module in network.modules():
        if (
            isinstance(module, nn.Conv3d) and not module.weight.is_meta
        ):  # PyTorch would import its compiler to draw no numbers
            nn.init.kaiming_normal_(module.weight, a=0.01, nonlinearity="leaky_relu")
            nn.init.zeros_(module.bias)


def _block(n_in: int, n_middle: int, n_out: int) -> nn.Sequential:
    """Return two convolutions, each with instance norm and leaky ReLU."""
    return nn.Sequential(*_convolution(n_in, n_middle), *_convolution(n_middle, n_out))


def _convolution(n_in: int, n_out: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv3d(n_in, n_out, 3, padding=1),
        _InstanceNorm3d(n_out, eps=1e-5, affine=True),
        nn.LeakyReLU(0.01, inplace=True),
    )


class _InstanceNorm3d(nn.InstanceNorm3d):
    """PyTorch's instance norm, faster on a CPU: its own lays channels-last features out anew and back, for each norm.

    The batch norm of one sample is its instance norm, and reads channels last as they are.
    """

    def forward(self, features: Tensor) -> Tensor:
        if features.is_cuda or not features.is_contiguous(memory_format=torch.channels_last_3d):
            return super().forward(features)
        return torch.cat(
            [
                F.batch_norm(one, None, None, self.weight, self.bias, training=True, eps=self.eps)
                for one in features.split(1)
            ]
        )


class _Head(nn.Module):
    """A variance output from the last feature map; with channels of its own it also sees the image as it is.

    Instance norm takes the level of every feature out of a patch, so a patch that is noisy throughout looks like a
    clean one to whatever follows. The second branch has no norm: it rates the image's :func:`texture` around each voxel and
    over the whole patch at a quarter of the resolution, and its answer is added to that of the feature map. Holds the
    parameters; :func:`_of_all_heads` is the forward pass.

    Args:
        n_in: Channels of the feature map.
        n_hidden: Channels of the block before the last convolution, the second branch being wider; 0 for a plain
            1x1x1 convolution of the feature map.
        start: Bias at the start, where the output is the same everywhere.
    """

    def __init__(self, n_in: int, n_hidden: int, start: float):
        super().__init__()
        self.local = _small_head(n_in, n_hidden)
        self.level = _LevelBranch(n_hidden) if n_hidden else None
        _initialise(self.local)
        nn.init.zeros_(self.local[-1].weight)
        nn.init.constant_(self.local[-1].bias, start)


def _of_all_heads(heads: list[_Head], features: Tensor, rough: Tensor | None) -> Tensor:
    """Return the raw log-variance by every head, (B, U, D, H, W), from features (B, C, D, H, W) and :func:`texture`.

    One convolution for all heads: one to a head's few channels takes about as long.
    """
    *hidden, last = zip(*(head.local for head in heads), strict=True)
    if not hidden:
        return F.conv3d(features, *_side_by_side(last))
    first, activation = hidden
    hidden_features = activation[0](F.conv3d(features, *_side_by_side(first), padding=1))
    weights = torch.block_diag(*(convolution.weight.flatten() for convolution in last))
    local = F.conv3d(hidden_features, weights[..., None, None, None], torch.cat([c.bias for c in last]))
    whole = over_patch(rough)
    level = torch.cat([head.level(rough, whole) for head in heads], dim=1)
    return local + F.interpolate(level, size=features.shape[2:], mode="trilinear", align_corners=False)


def _side_by_side(convolutions: Sequence[nn.Conv3d]) -> tuple[Tensor, Tensor]:
    """Return weights and biases of convolutions of the same input as those of one."""
    return torch.cat([c.weight for c in convolutions]), torch.cat([c.bias for c in convolutions])


class _LevelBranch(nn.Module):
    """How degraded the image is, in each block of its texture, (B, N_TEXTURES, d, h, w) to (B, 1, d, h, w).

    Besides the blocks around, each block sees mean, standard deviation, highest and lowest value of every texture over the
    whole patch. From a few hundred volumes a training learns from these what it does not from convolutions and their mean:
    whether a patch holds a spike or noise was told with an area under the ROC curve of 0.92 and 0.99, against 0.56 and 0.90.
    """

    def __init__(self, n_hidden: int):
        super().__init__()
        wide = 4 * n_hidden
        self.around = nn.Sequential(*_plain_convolution(N_TEXTURES, wide), *_plain_convolution(wide, wide))
        self.together = nn.Sequential(
            nn.Conv3d(wide + N_OF_A_PATCH * N_TEXTURES, wide, 1),
            nn.LeakyReLU(0.01, inplace=True),
            nn.Conv3d(wide, 1, 1),
        )
        _initialise(self)
        nn.init.zeros_(self.together[-1].weight)

    def forward(self, rough: Tensor, whole: Tensor) -> Tensor:
        with torch.autocast(rough.device.type, enabled=False):  # what tells artefacts apart can be slight
            blocks = torch.cat([self.around(rough), whole.expand(-1, -1, *rough.shape[2:])], dim=1)
            return self.together(blocks)


class _Presence(nn.Sequential):
    """The log odds that a patch holds one artefact, (B, N, 1, 1, 1) to (B, 1).

    Which of five artefacts, or none, a patch of another subject holds a perceptron like this one told in 83 % with the
    spectra and in 76 % without: blur in 99 against 81 %, motion in 65 against 44 %.
    """

    def __init__(self):
        n = N_OF_A_PATCH * (N_TEXTURES + 1 + N_SPECTRA + 1)
        super().__init__(
            nn.Flatten(), nn.Linear(n, PRESENCE_CHANNELS), nn.LeakyReLU(0.01), nn.Linear(PRESENCE_CHANNELS, 1)
        )
        nn.init.zeros_(self[-1].weight)
        nn.init.zeros_(self[-1].bias)


def _small_head(n_in: int, n_hidden: int) -> nn.Sequential:
    """Return one output of the feature map: plain 1x1x1, or with a 3x3x3 block of its own before it."""
    if not n_hidden:
        return nn.Sequential(nn.Conv3d(n_in, 1, 1))
    return nn.Sequential(*_plain_convolution(n_in, n_hidden), nn.Conv3d(n_hidden, 1, 1))


def _plain_convolution(n_in: int, n_out: int) -> tuple[nn.Module, ...]:
    """Return a convolution without norm, which would take away what tells a bad patch from a good one."""
    return nn.Conv3d(n_in, n_out, 3, padding=1), nn.LeakyReLU(0.01, inplace=True)
