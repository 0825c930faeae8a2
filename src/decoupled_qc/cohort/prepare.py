"""From a listed scan to a subject of the cohort: one grid, one intensity range, tissue labels of a known source."""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from nibabel.processing import resample_from_to
from numpy.typing import NDArray

from decoupled_qc.cohort import tissues
from decoupled_qc.cohort.anatomies import HEAD_SPACING_MM, most_probable
from decoupled_qc.cohort.carry import carry
from decoupled_qc.cohort.checks import check_volume
from decoupled_qc.cohort.label import read_atlas
from decoupled_qc.cohort.label_values import as_tissues
from decoupled_qc.cohort.manifest import COLUMNS, RATED_COLUMNS
from decoupled_qc.cohort.subjects import LABEL_SOURCE, LEFT_OUT, LEFT_OUT_COLUMNS
from decoupled_qc.cohort.volumes import save, save_fraction
from decoupled_qc.dseg import GREY_MATTER, TISSUES
from decoupled_qc.errors import InputError
from decoupled_qc.files import discard_partial, write_whole
from decoupled_qc.grids import isotropic, unit_range
from decoupled_qc.images import open_image
from decoupled_qc.units import MM3_PER_ML

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Best:
    """The scan of the subject at hand whose label its other scans get: CSF, grey and white matter in its world."""

    subject: str
    file: nib.Nifti1Image
    fractions: list[nib.Nifti1Image]
    label_source: str


def of_batch(scans: pd.DataFrame, batch: int, n_batches: int) -> pd.DataFrame:
    """Return the scans of one of several batches that share out whole subjects.

    Args:
        scans: With ``subject``.
        batch: From 0.
        n_batches: How many there are; of more batches than subjects some are empty.
    """
    subjects = sorted(scans["subject"].unique())[batch::n_batches]
    return scans[scans["subject"].isin(subjects)]


def prepare_scans(
    scans: pd.DataFrame,
    atlas_folder: Path,
    folder: Path,
    *,
    spacing_mm: float,
    registration_mm: float,
    best_rating: float,
    cache: Path,
    code: str,
) -> None:
    """Write the scans of a batch as :func:`decoupled_qc.cohort.subjects.make_subjects` writes subjects.

    Each keeps its own whole field of view and lies in the world's millimetres of its source, which ``subjects.tsv``
    names: a map can be resampled back onto the native grid from the two affines. Of several scans of a subject the one with
    the best rating is labelled, and the others get its label, moved rigidly. A subject whose classical label has an implausible
    volume is left out, with all its scans and the reason in ``left_out.tsv``.

    Args:
        scans: As :func:`decoupled_qc.cohort.splits.chosen` returns them; all scans of a subject are in one batch.
        atlas_folder: Of the average brain that gives priors to scans without labels.
        folder: Existing folder for the results.
        spacing_mm: Of the voxels to make, isotropic.
        registration_mm: Spacing at which the atlas, and the scans of a subject, are registered.
        best_rating: Of the scale, without an artefact.
        cache: Folder for labels of the classical route, minutes each: a batch that was killed goes on with its next scan, and a
            scan that has not changed is not labelled again.
        code: Fingerprint of the code that labels.

    Raises:
        InputError: A scan cannot be labelled, or moved onto another.
    """
    atlas = read_atlas(atlas_folder) if (scans["dseg"] == "").any() else None
    distance = (pd.to_numeric(scans["rating"]) - best_rating).abs()
    rows, left_out, best = [], [], None
    for scan in scans.assign(distance=distance).sort_values(["subject", "distance", "scan"]).itertuples():
        if left_out and left_out[-1][0] == scan.subject:
            continue
        stem = scan.scan.removesuffix("_T1w")
        file = nib.squeeze_image(open_image(Path(scan.image)))
        if scan.dseg:
            fractions, label_source = provided_fractions(Path(scan.dseg), scan.dseg_values), scan.label_source
        elif best is not None and best.subject == scan.subject:
            parts = [isotropic(part, HEAD_SPACING_MM) for part in best.fractions]
            heads = isotropic(best.file, HEAD_SPACING_MM), isotropic(file, HEAD_SPACING_MM)
            with _about(scan.image):
                fractions = carry(parts, *heads, registration_mm)
            label_source = f"{best.label_source}, moved rigidly"
        else:
            kept = cache / f"{_key(file, atlas, registration_mm, code)}.nii.gz"
            with _about(scan.image):
                fractions = _labelled(file, atlas, registration_mm, kept)
            label_source = LABEL_SOURCE
        if best is None or best.subject != scan.subject:
            best = _Best(scan.subject, file, fractions, label_source)
        image = isotropic(file, spacing_mm)
        label = most_probable(_onto(fractions, image))
        if label_source == LABEL_SOURCE:
            try:
                check_volume(f"The classical label of {scan.image}", label, [spacing_mm] * 3)
            except InputError as error:
                left_out.append((scan.subject, scan.role, str(error)))
                log.warning("Subject %s is left out: %s", scan.subject, error)
                continue
        names = {"image": f"{stem}_T1w.nii.gz", "dseg": f"{stem}_dseg.nii.gz"}
        save(folder / names["image"], unit_range(image.get_fdata(dtype=np.float32)), image.affine)
        save(folder / names["dseg"], label, image.affine)
        rows.append(
            {
                "subject": scan.subject,
                "scan": stem,
                "anatomy": scan.subject.removeprefix("sub-"),  # every person is an anatomy of their own
                "role": scan.role,
                **names,
                "label_source": label_source,
                "rating": scan.rating,
                "rater": scan.rater,
                "site": scan.site,
                "source": scan.image,
            }
        )
        log.info(
            "%s (%s): grey matter %.0f ml", stem, scan.role, (label == GREY_MATTER).sum() * spacing_mm**3 / MM3_PER_ML
        )
    pd.DataFrame(rows, columns=[*COLUMNS, *RATED_COLUMNS, "source"]).to_csv(
        folder / "subjects.tsv", sep="\t", index=False
    )
    pd.DataFrame(left_out, columns=LEFT_OUT_COLUMNS).to_csv(folder / LEFT_OUT, sep="\t", index=False)


def classical_fractions(file: nib.Nifti1Image, atlas: tissues.Atlas, registration_mm: float) -> list[nib.Nifti1Image]:
    """Return CSF, grey and white matter fractions at 1 mm by :func:`decoupled_qc.cohort.tissues.segment`."""
    head = isotropic(file, HEAD_SPACING_MM)
    values = np.clip(head.get_fdata(dtype=np.float32), 0, None)
    fractions = tissues.segment(atlas, values, head.affine, registration_mm)[1]
    return [nib.Nifti1Image(part, head.affine) for part in fractions]


@contextmanager
def _about(image: str) -> Iterator[None]:
    """Name the scan in whatever ANTs says about it."""
    try:
        yield
    except (RuntimeError, ValueError, IndexError) as error:  # the last of masks without a voxel
        raise InputError(f"{image} cannot be labelled ({error}): look at the scan, or give it a label.") from error


def _labelled(file: nib.Nifti1Image, atlas: tissues.Atlas, registration_mm: float, kept: Path) -> list[nib.Nifti1Image]:
    """Return classical fractions as they are kept, made first if they are not there.

    They are read back even then, since they are kept in steps of 1/255: a batch that was stopped ends as one that was not.
    """
    if (known := _read(kept)) is not None:
        return known
    discard_partial(kept)
    parts = classical_fractions(file, atlas, registration_mm)
    values = np.stack([part.get_fdata(dtype=np.float32) for part in parts], axis=-1)
    with write_whole(kept) as partial:
        save_fraction(partial, values, parts[0].affine)
    return _read(kept)


def _read(kept: Path) -> list[nib.Nifti1Image] | None:
    """Return kept fractions, None if they are not there or damaged."""
    try:
        file = nib.load(kept)
        values = file.get_fdata(dtype=np.float32)
    except Exception:  # nibabel, gzip and zlib each raise their own kinds
        return None
    return [nib.Nifti1Image(values[..., place], file.affine) for place in range(values.shape[-1])]


def _key(file: nib.Nifti1Image, atlas: tissues.Atlas, registration_mm: float, code: str) -> str:
    """Return a hash of all that a scan's classical labels follow from."""
    digest = hashlib.sha256(f"{registration_mm} {code}".encode())
    for values in (np.asanyarray(file.dataobj), file.affine, atlas.image, atlas.fractions, atlas.affine):
        digest.update(f"{values.dtype} {values.shape}".encode())
        digest.update(np.ascontiguousarray(values))
    return digest.hexdigest()[:32]


def provided_fractions(path: Path, meanings: str) -> list[nib.Nifti1Image]:
    """Return CSF, grey and white matter of a label volume, 0 or 1, see :func:`decoupled_qc.cohort.label_values.as_tissues`."""
    file = nib.squeeze_image(open_image(path))
    label = as_tissues(path, np.asanyarray(file.dataobj), meanings)
    return [nib.Nifti1Image((label == tissue).astype(np.float32), file.affine) for tissue in TISSUES]


def _onto(fractions: list[nib.Nifti1Image], image: nib.Nifti1Image) -> NDArray[np.float32]:
    """Return fractions (3, D, H, W) on an image's grid, averaged over its voxels."""
    spacing_mm = nib.affines.voxel_sizes(image.affine)[0]
    moved = [resample_from_to(isotropic(part, spacing_mm), image, order=1) for part in fractions]
    return np.clip(np.stack([part.get_fdata(dtype=np.float32) for part in moved]), 0, 1)
