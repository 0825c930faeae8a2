"""Test conditions: the test subjects' scans, clean or corrupted, each with the record that makes it again."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from decoupled_qc import artefacts
from decoupled_qc.causes import NO_ARTEFACT
from decoupled_qc.cohort.manifest import read_manifest
from decoupled_qc.errors import InputError
from decoupled_qc.files import write_whole
from decoupled_qc.seeds import rng_for
from decoupled_qc.simulation.kspace import rescale

WHOLE_RANGE = (0.0, 1.0)  # of severities


class Made(NamedTuple):
    """A scan of a condition: (D, H, W), float32, range [0, 1], and what was done to the clean one."""

    image: Tensor
    artefact: str
    severity: float
    records: list[dict]


def clean(image: Tensor) -> list[Made]:
    """Return the scan as it is, min-max scaled like every corrupted one."""
    return [Made(rescale(image), NO_ARTEFACT, 0.0, [])]


def simulated(
    image: Tensor, subject: str, name: str, *, spacing_mm: float, settings: dict, local_probability: float, seed: int
) -> list[Made]:
    """Return the scan with one artefact at a random severity, U(0, 1].

    Args:
        image: (D, H, W), float32, the clean scan.
        subject: Names the draw, with the artefact.
        name: Of the artefact.
        spacing_mm: Of the voxels.
        settings: The artefact's config block.
        local_probability: Of an artefact that covers only a part of the scan.
        seed: The run's.

    Source: Shaw et al. 2021, section 7: one random scan per artefact and test subject.
    """
    drawn = _drawn(image, (seed, subject, name, 0), WHOLE_RANGE, name, spacing_mm, settings, local_probability)
    return [_corrupted(image, name, [drawn])]


def mixed(
    image: Tensor,
    subject: str,
    mixtures: Sequence[Sequence[str]],
    *,
    spacing_mm: float,
    settings: dict[str, dict],
    local_probability: float,
    seed: int,
) -> list[Made]:
    """Return the scan with each mixture of artefacts, every one in the realisation that :func:`simulated` has alone.

    So the variance of a mixture can be compared with the sum of those of its parts.

    Args:
        mixtures: Names of the artefacts of each scan; their ``artefact`` is the names joined by ``+``, their
            ``severity`` that of the strongest.
        settings: Config blocks by artefact.
        image, subject, spacing_mm, local_probability, seed: As for :func:`simulated`.
    """
    scans = []
    for names in mixtures:
        drawn = [
            _drawn(image, (seed, subject, name, 0), WHOLE_RANGE, name, spacing_mm, settings[name], local_probability)
            for name in names
        ]
        scans.append(_corrupted(image, "+".join(names), drawn))
    return scans


def sweep(
    image: Tensor, subject: str, name: str, severities: Sequence[float], *, spacing_mm: float, settings: dict, seed: int
) -> list[Made]:
    """Return the scan with one artefact in one realisation at each severity, over the whole volume.

    Args:
        severities: [0, 1]; 0 is the clean scan.
        image, subject, name, spacing_mm, settings, seed: As for :func:`simulated`.

    Source: Shaw et al. 2021, Fig. 5.
    """
    scans = []
    for severity in severities:
        key = (seed, subject, name, "sweep")  # the same at every severity: only the strength changes
        drawn = _drawn(image, key, (severity, severity), name, spacing_mm, settings, local_probability=0.0)
        scans.append(_corrupted(image, name, [drawn]))
    return scans


def banded(
    image: Tensor,
    subject: str,
    name: str,
    bands: Sequence[float],
    *,
    spacing_mm: float,
    settings: dict,
    local_probability: float,
    seed: int,
) -> list[Made]:
    """Return the scan with one artefact once in each band of severity, at a place in the band drawn for it.

    Args:
        bands: Rising ends of the bands, [0, 1].
        image, subject, name, spacing_mm, settings, local_probability, seed: As for :func:`simulated`.
    """
    scans = []
    for low, high in pairwise(bands):
        key = (seed, subject, name, "band", low)
        drawn = _drawn(image, key, (low, high), name, spacing_mm, settings, local_probability)
        scans.append(_corrupted(image, name, [drawn]))
    return scans


def remake(row: pd.Series, image: Tensor) -> Tensor:
    """Return a simulated scan again, bit for bit, from its row in ``scans.tsv`` and the clean scan.

    Raises:
        InputError: The row is of the condition ``outside``, whose scans follow from the label too.
    """
    records = json.loads(row["records"])
    if any("outside" in record for record in records):
        raise InputError(
            f"{row['scan']} has its artefact outside the brain alone, which the label tells: make it again with "
            "decoupled_qc.simulation.outside.remake, which takes the label."
        )
    return artefacts.corrupt(image, records)


def write_condition(
    manifest: Path,
    folder: Path,
    condition: str,
    make: Callable[[Tensor, str, int], list[Made]],
    n_subjects: int | None = None,
    role: str = "test",
) -> None:
    """Write a condition's scans and its ``scans.tsv``; the folder appears when they are whole.

    Args:
        manifest: Of the cohort.
        folder: To make; label paths are relative to it.
        condition: Name of the condition.
        make: (clean image, subject, number) → list of :class:`Made`.
        n_subjects: Only the first ones; all if None.
        role: Of the subjects used, ``test`` or ``validation``.
    """
    with write_whole(folder) as partial:
        partial.mkdir()
        rows = []
        for number, subject, image, affine in _subjects(manifest, role, n_subjects):
            made = make(image, subject.subject, number)
            for index, scan in enumerate(made):
                suffix = f"-{index:02d}" if len(made) > 1 else ""
                name = f"{subject.subject}_{condition}{suffix}"
                nib.save(nib.Nifti1Image(scan.image.numpy(), affine), partial / f"{name}_T1w.nii.gz")
                rows.append(
                    {
                        "scan": name,
                        "subject": subject.subject,
                        "anatomy": subject.anatomy,
                        "condition": condition,
                        "artefact": scan.artefact,
                        "severity": scan.severity,
                        "image": f"{name}_T1w.nii.gz",
                        "dseg": os.path.relpath(manifest.parent / subject.dseg, folder),
                        "records": json.dumps(scan.records),
                    }
                )
        pd.DataFrame(rows).to_csv(partial / "scans.tsv", sep="\t", index=False)


def _drawn(
    image: Tensor,
    key: tuple,
    between: tuple[float, float],
    name: str,
    spacing_mm: float,
    settings: dict,
    local_probability: float,
) -> dict:
    """Return the record of an artefact at a severity drawn from (low, high]; for equal ends nothing is drawn."""
    rng = rng_for(*key)
    low, high = between
    severity = high - (high - low) * rng.random() if low < high else high
    return artefacts.sample_record(
        name, severity, tuple(image.shape), spacing_mm, rng, settings, local_probability=local_probability
    )


def _corrupted(image: Tensor, name: str, drawn: Sequence[dict]) -> Made:
    """Apply records, with what they measure on the clean and on the finished scan."""
    records = artefacts.complete(image, drawn)
    corrupted = artefacts.corrupt(image, records)
    severity = max(record["severity"] for record in records)
    return Made(corrupted, name, severity, artefacts.describe(image, corrupted, records))


def _subjects(manifest: Path, role: str, n_subjects: int | None) -> Iterator[tuple[int, tuple, Tensor, np.ndarray]]:
    table = read_manifest(manifest)
    rows = table[table["role"] == role].head(n_subjects or len(table))
    for number, row in enumerate(rows.itertuples()):
        file = nib.load(manifest.parent / row.image)
        yield number, row, torch.from_numpy(file.get_fdata(dtype=np.float32)), file.affine
