"""The simulators as a MONAI dictionary transform, for those who augment with MONAI."""

import json
from collections.abc import Hashable, Mapping

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor, get_track_meta
from monai.transforms import MapTransform, RandomizableTransform
from monai.utils import convert_to_tensor

from decoupled_qc import artefacts
from decoupled_qc.errors import naming
from decoupled_qc.seeds import rng_for
from decoupled_qc.settings import settings_of


class RandArtefactd(RandomizableTransform, MapTransform):
    """Corrupt the images of a sample with one artefact.

    All keys get the same realisation, all channels the same record. Each image keeps its intensity range and its meta data and
    comes as float32, corrupted or not. Its records with what was measured, a list for each channel that is empty if it stays
    clean and that the next transform goes on with, come under its key and ``_records``: as JSON, so that samples of different
    records can be put into one batch.

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

    def __call__(self, data: Mapping[Hashable, torch.Tensor]) -> dict[Hashable, torch.Tensor | str]:
        """Return the sample with corrupted images and their records.

        Raises:
            InputError: An image is not of three axes beside its channels, is constant, or not finite.
        """
        found = dict(data)
        self.randomize()
        for key in self.key_iterator(found):
            image = convert_to_tensor(found[key], dtype=torch.float32, track_meta=get_track_meta())
            records = json.loads(found.get(f"{key}_records", "[]")) or [[] for _ in image]
            if self._do_transform:
                with naming(_title(key, image)):
                    image, own = self._corrupt(image)
                records = [earlier + later for earlier, later in zip(records, own, strict=True)]
            found[key], found[f"{key}_records"] = image, json.dumps(records)
        return found

    def _corrupt(self, image: torch.Tensor) -> tuple[torch.Tensor, list[list[dict]]]:
        plain = image.as_tensor() if isinstance(image, MetaTensor) else image
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
        corrupted, records = artefacts.corrupt_channels(plain, [[record]] * len(plain))
        if isinstance(image, MetaTensor):
            corrupted = MetaTensor(corrupted, meta=image.meta, applied_operations=image.applied_operations)
        return corrupted, records


def _title(key: Hashable, image: torch.Tensor) -> str:
    file = image.meta.get("filename_or_obj") if isinstance(image, MetaTensor) else None
    return f"Image '{key}' ({file})" if file else f"Image '{key}'"
