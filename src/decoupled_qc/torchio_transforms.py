"""The simulators as TorchIO transforms, for those who augment with TorchIO."""

from collections.abc import Mapping, Sequence

import nibabel as nib
from torchio import Image, Subject
from torchio.transforms import IntensityTransform
from torchio.transforms.augmentation import RandomTransform

from decoupled_qc import artefacts
from decoupled_qc.errors import naming
from decoupled_qc.seeds import rng_for
from decoupled_qc.settings import settings_of


class RandomArtefact(RandomTransform, IntensityTransform):
    """Corrupt every intensity image of a subject with one artefact; label maps stay as they are.

    All images of a subject get the same realisation, all channels of an image the same record. Each keeps its intensity
    range, its voxel sizes count, and the subject's history holds the records, with what was measured, so that it can be
    replayed.

    Args:
        artefact: Name of the artefact, see :func:`decoupled_qc.artefacts.available`.
        severity: Lowest and highest severity, uniform, [0, 1].
        settings: Of the artefact, single keys of its block in ``config.yaml``; the others keep their defaults.
        local_probability: Of an artefact that covers only a part of the head, [0, 1].
        **kwargs: Of every TorchIO transform.

    Raises:
        InputError: There is no such artefact or setting.
    """

    def __init__(
        self,
        artefact: str,
        severity: tuple[float, float] = (0.0, 1.0),
        settings: Mapping | None = None,
        local_probability: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.artefact = artefact
        self.severity = severity
        self.settings = settings_of(artefact, settings)
        self.local_probability = local_probability

    def apply_transform(self, subject: Subject) -> Subject:
        """Draw a record from TorchIO's (torch's) global generator and apply it.

        Raises:
            InputError: An image is constant, not finite, or too small for the artefact.
        """
        severity, seed = self.sample_uniform(*self.severity), self._get_random_seed()
        records = {}
        for name, image in self.get_images_dict(subject).items():
            with naming(_title(name, image)):
                record = artefacts.sample_record(
                    self.artefact,
                    severity,
                    image.spatial_shape,
                    nib.affines.voxel_sizes(image.affine),
                    rng_for(seed, self.artefact),
                    self.settings,
                    local_probability=self.local_probability,
                )
                records[name] = _corrupt(image, [[record]] * image.num_channels)
        Artefacts(records, **self._get_base_args())._add_transform_to_subject_history(subject)
        return subject


class Artefacts(IntensityTransform):
    """Apply artefacts of given records: what :class:`RandomArtefact` leaves in a subject's history.

    Args:
        records: image name → for each of its channels records of :func:`decoupled_qc.artefacts.sample_record`.
        **kwargs: Of every TorchIO transform.
    """

    def __init__(self, records: Mapping[str, Sequence[Sequence[dict]]], **kwargs):
        super().__init__(**kwargs)
        self.records = records
        self.args_names = ["records"]

    def apply_transform(self, subject: Subject) -> Subject:
        """Corrupt the images.

        Raises:
            InputError: An image is constant, not finite, or has another number of channels than the records are for.
        """
        for name, image in self.get_images_dict(subject).items():
            with naming(_title(name, image)):
                _corrupt(image, self.records[name])
        return subject


def _corrupt(image: Image, records: Sequence[Sequence[dict]]) -> list[list[dict]]:
    """Corrupt an image in place, return the records of each channel with what was measured."""
    corrupted, described = artefacts.corrupt_channels(image.data, records)
    image.set_data(corrupted)
    return described


def _title(name: str, image: Image) -> str:
    return f"Image '{name}' ({image.path})" if image.path else f"Image '{name}'"
