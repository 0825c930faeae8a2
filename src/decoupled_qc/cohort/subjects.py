"""Distinct subjects from one labelled head: each a random diffeomorphism of it with a look of its own."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from decoupled_qc.cohort import labelmaps
from decoupled_qc.cohort.absence import absence, mark_absent
from decoupled_qc.cohort.anatomies import HEAD_SPACING_MM, Anatomy, most_probable, read_anatomy
from decoupled_qc.cohort.appearance import reslice, vary
from decoupled_qc.cohort.manifest import COLUMNS, RATED_COLUMNS, ROLES, check_manifest, check_volumes
from decoupled_qc.cohort.stripping import strip
from decoupled_qc.cohort.volumes import save
from decoupled_qc.cohort.warps import Warp, random_warp, sample
from decoupled_qc.delimited import read_cells
from decoupled_qc.errors import InputError
from decoupled_qc.files import sha256_of, write_whole
from decoupled_qc.grids import BLUR
from decoupled_qc.seeds import rng_for
from decoupled_qc.threads import side_by_side

log = logging.getLogger(__name__)

VOLUMES = ("image", "dseg")  # columns of file names
LEFT_OUT = "left_out.tsv"  # of a batch of scans: who is in no subjects.tsv after all, since the scan could not be labelled well
LEFT_OUT_COLUMNS = ["subject", "role", "reason"]
LABEL_SOURCE = "ANTs Atropos"
LABEL_MAP_SOURCE = "label map"
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
    acquisition: dict,
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
        acquisition: ``resolution_mm``, smallest and largest voxel of the scanner along each axis, from which a subject is
            resampled; ``resliced_fwhm_mm``, least and most smoothing by what was done to it since, full width at half maximum;
            ``stripped_probability``, of a scan that comes without its skull.

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

    def make(numbered: tuple[int, str]) -> dict:
        number, role = numbered
        subject = f"sub-{anatomy}{number:02d}"
        drawn = random_warp(source.shape, spacing_mm, rng_for(seed, subject, "warp"), **warp)
        rng = rng_for(seed, subject, "acquisition")
        resolution_mm = rng.uniform(*acquisition["resolution_mm"], 3)
        image, fractions = source.take(drawn, resolution_mm, rng)
        scan, look = vary(
            image,
            fractions,
            spacing_mm,
            rng_for(seed, subject, "appearance"),
            contrast_quantile=(first + number * GOLDEN_RATIO) % 1,
            **appearance,
        )
        resliced_mm = rng_for(seed, subject, "reslicing").uniform(*acquisition["resliced_fwhm_mm"])
        scan = reslice(scan, resliced_mm / spacing_mm)
        stripped = bool(rng.random() < acquisition["stripped_probability"])
        if stripped:
            scan = strip(scan, fractions, spacing_mm, rng)
        names = {"image": f"{subject}_T1w.nii.gz", "dseg": f"{subject}_dseg.nii.gz"}
        save(folder / names["image"], scan, source.affine)
        save(folder / names["dseg"], most_probable(fractions), source.affine)
        deformation = {"min_jacobian": drawn.min_jacobian, "max_displacement_mm": drawn.max_displacement_mm}
        labelled = LABEL_SOURCE if source.labels is None else LABEL_MAP_SOURCE
        row = {"subject": subject, "scan": subject, "anatomy": anatomy, "role": role, **names, "label_source": labelled}
        log.info("%s (%s): min Jacobian %.2f, max displacement %.1f mm", subject, role, *deformation.values())
        return {**row, **deformation, **look, "resliced_fwhm_mm": resliced_mm, "stripped": stripped}

    rows = side_by_side(make, enumerate(roles, start=1))
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
        self.labels = anatomy.labels
        self._depth_mm = None if anatomy.labels is None else labelmaps.depth(anatomy.labels)
        self._head = anatomy.image
        self._spacing_mm = spacing_mm
        self._image = self._smooth(anatomy.image, np.full(3, HEAD_SPACING_MM))
        self._fractions = np.stack([ndimage.gaussian_filter(part, sigma) for part in anatomy.fractions])

    def take(
        self, warp: Warp, resolution_mm: NDArray[np.float64], rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the image (D, H, W), >= 0, and the tissue fractions (3, D, H, W), [0, 1], at a warp's points.

        Args:
            warp: Where to look.
            resolution_mm: (3,), the scanner's voxel, >= 1 mm along each axis.
            rng: Paints the head, if it is a label map.
        """
        head = self._head if self.labels is None else labelmaps.paint(self.labels, self._depth_mm, rng)
        own = head is not self._head or (resolution_mm > HEAD_SPACING_MM).any()
        image = self._smooth(head, resolution_mm) if own else self._image
        places = warp.points_mm / HEAD_SPACING_MM + self._centre.reshape(3, 1, 1, 1).astype(np.float32)
        taken, *fractions = sample(np.concatenate([image[None], self._fractions]), places)
        return taken, np.stack(fractions)

    def _smooth(self, head: NDArray[np.float32], resolution_mm: NDArray[np.float64]) -> NDArray[np.float32]:
        """Average a head over the scanner's voxels and over those of the volumes to make."""
        widths = self._spacing_mm**2 + resolution_mm**2 - 2 * HEAD_SPACING_MM**2
        return ndimage.gaussian_filter(head, BLUR * np.sqrt(np.maximum(widths, 0)) / HEAD_SPACING_MM)


def write_manifest(folders: Sequence[Path], path: Path) -> None:
    """Join the subjects of all anatomies into a manifest, check it and its volumes, and log how many there are.

    Each volume's hash is part of its row: Snakemake compares a small table by its content, so that new volumes under the old
    names would not be seen by what is trained on them.

    Args:
        folders: Each of :func:`make_subjects` or :func:`decoupled_qc.cohort.prepare.prepare_scans`, inside the manifest's folder;
            one whose head is absent adds none.
        path: Of the table to write.

    Raises:
        InputError: See :func:`decoupled_qc.cohort.manifest.check_manifest` and
            :func:`decoupled_qc.cohort.manifest.check_volumes`; or all subjects of a role were left out.
    """
    tables = []
    left_out = pd.DataFrame(columns=LEFT_OUT_COLUMNS)
    for folder in folders:
        if absence(folder) is not None:
            continue
        table = pd.read_csv(folder / "subjects.tsv", sep="\t", dtype=str, keep_default_na=False)
        if (folder / LEFT_OUT).exists():
            left_out = pd.concat([left_out, read_cells(folder / LEFT_OUT, "\t")])
        for column in VOLUMES:
            table[column] = [(folder / name).relative_to(path.parent).as_posix() for name in table[column]]
        tables.append(table)
    joined = pd.concat(tables)
    for row in left_out.itertuples():
        log.warning("Subject %s is left out: %s", row.subject, row.reason)
        if row.role not in set(joined["role"]):
            raise InputError(f"No {row.role} subject is left: {row.reason}")
    found = check_manifest(pd.DataFrame(joined, columns=[*COLUMNS, *RATED_COLUMNS]).astype(object).fillna(""), path)
    check_volumes(found, path)
    hashes = {f"{column}_sha256": [sha256_of(path.parent / name) for name in found[column]] for column in VOLUMES}
    with write_whole(path) as file:
        found.assign(**hashes).to_csv(file, sep="\t", index=False)
    for role, scans in found.groupby("role", sort=False):
        anatomies = scans["anatomy"].unique()
        counts = len(scans), scans["subject"].nunique(), len(anatomies)
        log.info("%s: %d scans of %d subjects from %d anatomies (%s)", role, *counts, ", ".join(anatomies[:9]))
