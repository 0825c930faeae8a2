"""The simulators as a MONAI dictionary transform, for those who augment with MONAI."""

from collections.abc import Hashable, Mapping

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, RandomizableTransform

from decoupled_qc import artefacts
from decoupled_qc.errors import naming
from decoupled_qc.seeds import rng_for
from decoupled_qc.settings import settings_of


class RandArtefactd(RandomizableTransform, MapTransform):
    """Corrupt the images of a sample with one artefact.

    All keys get the same realisation, all channels the same record. Each image keeps its intensity range and its meta data.

    Args:
        keys: Of the images, each (C, D, H, W); a MetaTensor's affine gives the voxel sizes, else they are 1 mm.
        artefact: Name of the artefact, see :func:`decoupled_qc.artefacts.available`.
        prob: Of any corruption, [0, 1].
        severity: Lowest and highest severity, uniform, [0, 1].
        settings: Of the artefact, single keys of its block in ``config.yaml``; the others keep their defaults.
        local_probability: Of an artefact that covers only a part of the head, [0, 1].
        allow_missing_keys: Do not raise if a key is missing.

    Raises:
        InputError: There is no such artefact or setting.
    """

    def __init__(
        self,
        keys: KeysCollection,
        artefact: str,
        prob: float = 1.0,
        severity: tuple[float, float] = (0.0, 1.0),
        settings: Mapping | None = None,
        local_probability: float = 0.0,
        allow_missing_keys: bool = False,
    ):
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)
        self.artefact = artefact
        self.severity = severity
        self.settings = settings_of(artefact, settings)
        self.local_probability = local_probability

    def randomize(self, data: object = None) -> None:
        """Draw the severity and the seed of the realisation from MONAI's random state."""
        super().randomize(data)
        self._drawn_severity = float(self.R.uniform(*self.severity))
        self._drawn_seed = int(self.R.randint(2**31))

    def __call__(self, data: Mapping[Hashable, torch.Tensor]) -> dict[Hashable, torch.Tensor]:
        """Return the sample with corrupted images.

        Raises:
            InputError: An image is not of three axes beside its channels, is constant, or not finite.
        """
        found = dict(data)
        self.randomize()
        if self._do_transform:
            for key in self.key_iterator(found):
                with naming(_title(key, found[key])):
                    found[key] = self._corrupt(found[key])
        return found

    def _corrupt(self, image: torch.Tensor | np.ndarray) -> torch.Tensor:
        plain = torch.as_tensor(image.as_tensor() if isinstance(image, MetaTensor) else image)
        spacing_mm = image.pixdim.tolist() if isinstance(image, MetaTensor) else 1.0
        record = artefacts.sample_record(
            self.artefact,
            self._drawn_severity,
            tuple(plain.shape[1:]),
            spacing_mm,
            rng_for(self._drawn_seed, self.artefact),
            self.settings,
            local_probability=self.local_probability,
        )
        corrupted = torch.stack([artefacts.corrupt_in_range(channel, [record]) for channel in plain.float()])
        if not isinstance(image, MetaTensor):
            return corrupted
        return MetaTensor(corrupted, meta=image.meta, applied_operations=image.applied_operations)


def _title(key: Hashable, image: torch.Tensor | np.ndarray) -> str:
    file = image.meta.get("filename_or_obj") if isinstance(image, MetaTensor) else None
    return f"Image '{key}' ({file})" if file else f"Image '{key}'"
