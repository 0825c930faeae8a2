"""Distinct subjects from one labelled head: each a random diffeomorphism of it with a look of its own."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from decoupled_qc.cohort.absence import absence, mark_absent
from decoupled_qc.cohort.anatomies import HEAD_SPACING_MM, Anatomy, most_probable, read_anatomy
from decoupled_qc.cohort.appearance import vary
from decoupled_qc.cohort.manifest import COLUMNS, ROLES, read_manifest
from decoupled_qc.cohort.volumes import save
from decoupled_qc.cohort.warps import Warp, random_warp, sample
from decoupled_qc.errors import InputError
from decoupled_qc.files import write_whole
from decoupled_qc.grids import BLUR
from decoupled_qc.seeds import rng_for

log = logging.getLogger(__name__)

LABEL_SOURCE = "ANTs Atropos"
GOLDEN_RATIO = (1 + np.sqrt(5)) / 2  # its multiples modulo 1 fill [0, 1) evenly, whatever their number


def make_subjects(
    anatomy_folder: Path,
    folder: Path,
    *,
    anatomy: str,
    n_subjects: Mapping[str, int],
    spacing_mm: float,
    seed: int,
    warp: dict,
    appearance: dict,
) -> None:
    """Write the subjects of one anatomy: ``<subject>_T1w.nii.gz``, ``<subject>_dseg.nii.gz`` and ``subjects.tsv``.

    Each is warped, none is the head itself. A subject depends on the seed and its own name alone. Contrasts fill their
    range evenly, however few subjects there are: by chance a dozen easily leave out half of it.

    Args:
        anatomy_folder: Labelled head, see :func:`decoupled_qc.cohort.anatomies.write_anatomy`.
        folder: Existing folder for the results.
        anatomy: Name of the head, part of each subject's name.
        n_subjects: role (train, validation, test) → number of subjects.
        spacing_mm: Of the subjects' voxels, isotropic.
        seed: The run's.
        warp: Keyword arguments of :func:`decoupled_qc.cohort.warps.random_warp`.
        appearance: Keyword arguments of :func:`decoupled_qc.cohort.appearance.vary`, without ``contrast_quantile``.

    Raises:
        InputError: A role is unknown, or a warp folds.
    """
    unknown = sorted(set(n_subjects) - set(ROLES))
    if unknown:
        raise InputError(f"Anatomy {anatomy} has subjects of the unknown role '{unknown[0]}': use {', '.join(ROLES)}.")
    reason = absence(anatomy_folder)
    if reason is not None:
        mark_absent(folder, reason)
        log.warning("No subjects of %s: %s", anatomy, reason)
        return
    source = Source(read_anatomy(anatomy_folder), spacing_mm)
    roles = [role for role in ROLES for _ in range(n_subjects.get(role, 0))]
    first = rng_for(seed, anatomy, "contrast").random()
    rows = []
    for number, role in enumerate(roles, start=1):
        subject = f"sub-{anatomy}{number:02d}"
        drawn = random_warp(source.shape, spacing_mm, rng_for(seed, subject, "warp"), **warp)
        image, fractions = source.take(drawn)
        scan, look = vary(
            image,
            fractions,
            spacing_mm,
            rng_for(seed, subject, "appearance"),
            contrast_quantile=(first + number * GOLDEN_RATIO) % 1,
            **appearance,
        )
        names = {"image": f"{subject}_T1w.nii.gz", "dseg": f"{subject}_dseg.nii.gz"}
        save(folder / names["image"], scan, source.affine)
        save(folder / names["dseg"], most_probable(fractions), source.affine)
        deformation = {"min_jacobian": drawn.min_jacobian, "max_displacement_mm": drawn.max_displacement_mm}
        rows.append({"subject": subject, "anatomy": anatomy, "role": role, **names, **deformation, **look})
        log.info("%s (%s): min Jacobian %.2f, max displacement %.1f mm", subject, role, *deformation.values())
    pd.DataFrame(rows).to_csv(folder / "subjects.tsv", sep="\t", index=False, float_format="%.4f")


class Source:
    """A labelled head, ready to be sampled at the points of a warp with voxels of another size.

    Args:
        anatomy: The head, at 1 mm.
        spacing_mm: Of the volumes to make.
    """

    def __init__(self, anatomy: Anatomy, spacing_mm: float):
        """Smooth the head to the voxels' width and place the volumes to make on its centre."""
        self.shape = tuple(int(np.ceil(n * HEAD_SPACING_MM / spacing_mm)) for n in anatomy.image.shape)
        self._centre = (np.array(anatomy.image.shape) - 1) / 2
        self.affine = np.diag([spacing_mm] * 3 + [1.0])
        half = (np.array(self.shape) - 1) / 2 * spacing_mm
        self.affine[:3, 3] = anatomy.affine[:3, :3] @ self._centre + anatomy.affine[:3, 3] - half
        sigma = BLUR * np.sqrt(max(spacing_mm**2 - HEAD_SPACING_MM**2, 0)) / HEAD_SPACING_MM
        channels = np.concatenate([anatomy.image[None], anatomy.fractions])
        self._channels = np.stack([ndimage.gaussian_filter(channel, sigma) for channel in channels])

    def take(self, warp: Warp) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the image (D, H, W) and the tissue fractions (3, D, H, W), all [0, 1], at a warp's points."""
        places = warp.points_mm / HEAD_SPACING_MM + self._centre.reshape(3, 1, 1, 1).astype(np.float32)
        image, *fractions = sample(self._channels, places)
        return image, np.stack(fractions)


def write_manifest(folders: Sequence[Path], path: Path) -> None:
    """Join the subjects of all anatomies into a manifest, check it, and log how many there are.

    Args:
        folders: Each of :func:`make_subjects`, inside the manifest's folder; one whose head is absent adds none.
        path: Of the table to write.

    Raises:
        InputError: See :func:`decoupled_qc.cohort.manifest.read_manifest`.
    """
    tables = []
    for folder in folders:
        if absence(folder) is not None:
            continue
        table = pd.read_csv(folder / "subjects.tsv", sep="\t")
        for column in ("image", "dseg"):
            table[column] = [(folder / name).relative_to(path.parent).as_posix() for name in table[column]]
        tables.append(table.assign(label_source=LABEL_SOURCE))
    with write_whole(path) as file:
        pd.concat(tables)[COLUMNS].to_csv(file, sep="\t", index=False)
        found = read_manifest(file)
    for role, subjects in found.groupby("role", sort=False):
        anatomies = subjects["anatomy"].unique()
        log.info("%s: %d subjects from %d anatomies (%s)", role, len(subjects), len(anatomies), ", ".join(anatomies))
