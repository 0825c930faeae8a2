"""From a fetched head to a labelled anatomy, with what is known about how good its labels are."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from decoupled_qc.cohort import labelmaps, shell, tissues
from decoupled_qc.cohort.absence import absence, mark_absent
from decoupled_qc.cohort.anatomies import AIR_MM, HEAD_SPACING_MM, LABELS, NECK_MM, TISSUE_NAMES, Anatomy, write_anatomy
from decoupled_qc.cohort.deep import assign_deep_tissue, deep_regions
from decoupled_qc.cohort.surfaces import fill, read_surface
from decoupled_qc.cohort.volumes import bounding_box, cut, cut_affine, grow, read_ras
from decoupled_qc.dseg import GREY_MATTER, WHITE_MATTER
from decoupled_qc.evaluation.metrics import dice
from decoupled_qc.grids import CAP_PERCENTILE
from decoupled_qc.seeds import rng_for
from decoupled_qc.units import MM3_PER_ML

log = logging.getLogger(__name__)

ROOM_MM = [(24, 24), (26, 24), (30, 24)]  # around an average brain for its head: left, right, back, front, below, above
EDGE_MM = 0.7  # softness of the seam between a painted brain and its head
CORTEX_MARGIN_MM = (2, 3)  # outside the pial and inside the white surface: where cortex labels are compared


def label_head(name: str, head: Path, atlas: Path, folder: Path, *, registration_mm: float, seed: int) -> None:
    """Write a labelled anatomy and ``agreement.csv``, or the reason why there is none.

    Labels come from :mod:`decoupled_qc.cohort.tissues` for every head, S1 included: its surfaces are the check and not
    the source, because they know nothing of cerebellum and deep grey matter, and because a network is tested on S1
    after it was trained on heads that have no surfaces.

    Args:
        name: Of the head.
        head: Fetched files; a folder with tissue maps holds an average brain, which is given a synthetic head; one with a label
            map holds no scan, and is painted.
        atlas: Fetched files of the average brain that gives priors.
        folder: Existing folder for the results.
        registration_mm: Spacing at which heads are registered.
        seed: The run's.
    """
    reason = absence(head)
    if reason is not None:
        mark_absent(folder, reason)
        log.warning("No anatomy %s: %s", name, reason)
        return
    if (head / LABELS).exists():
        anatomy, checks = _paint_label_map(head / LABELS, rng_for(seed, name, "head")), []
    elif (head / "label-GM_probseg.nii.gz").exists():
        anatomy, checks = _dress_average(read_atlas(head), rng_for(seed, name, "head")), []
    else:
        anatomy, checks = _label_whole_head(head, read_atlas(atlas), registration_mm, rng_for(seed, name, "neck"))
    write_anatomy(folder, anatomy)
    volumes = np.bincount(anatomy.label.ravel(), minlength=4)[1:] * HEAD_SPACING_MM**3 / MM3_PER_ML
    rows = [
        (tissue, "none", "volume_ml", volume) for tissue, volume in zip(TISSUE_NAMES, volumes, strict=True)
    ] + checks
    table = pd.DataFrame(rows, columns=["structure", "reference", "measure", "value"])
    table.insert(0, "anatomy", name)
    table.to_csv(folder / "agreement.csv", index=False, float_format="%.4f")
    for row in table.itertuples():
        log.info("%s: %s %s (against: %s) %.3f", name, row.structure, row.measure, row.reference, row.value)


def read_atlas(folder: Path) -> tissues.Atlas:
    """Read an average brain and its grey and white maps; what they leave of the brain is fluid."""
    image, affine = read_ras(folder / "T1w.nii.gz", HEAD_SPACING_MM)
    brain = ndimage.binary_fill_holes(image > 0)
    grey, white = (read_ras(folder / f"label-{tissue}_probseg.nii.gz", HEAD_SPACING_MM)[0] for tissue in ("GM", "WM"))
    scale = brain / max(grey.max(), white.max())
    grey, white = grey * scale, white * scale
    fractions = np.stack([np.clip(brain - grey - white, 0, 1), grey, white])
    fractions /= np.maximum(fractions.sum(0), 1e-6)
    box = grow(bounding_box(brain), ROOM_MM)
    parts = np.stack([cut(part, box) for part in fractions]).astype(np.float32)
    return tissues.Atlas(cut(image, box), parts, cut_affine(affine, box))


def _label_whole_head(
    folder: Path, atlas: tissues.Atlas, registration_mm: float, rng: np.random.Generator
) -> tuple[Anatomy, list[tuple]]:
    """Label a whole head; return it cut to the head, and its checks against what came with it."""
    head, affine = read_ras(folder / "T1w.nii.gz", HEAD_SPACING_MM)
    outline = bounding_box(tissues.foreground(head))
    box = grow(outline, [(AIR_MM, AIR_MM)] * 2 + [(0, AIR_MM)])
    head, affine = cut(head, box), cut_affine(affine, box)
    head, fractions = tissues.segment(atlas, head, affine, registration_mm)
    anatomy = _finish(*_with_neck(head, fractions, affine, rng))
    return anatomy, _check_surfaces(folder, anatomy) + _check_brain(folder, anatomy)


def _finish(head: NDArray[np.float32], fractions: NDArray[np.float32], affine: NDArray[np.float64]) -> Anatomy:
    """Scale a head to [0, 1] and drop the neck and what lies below the field of view."""
    inside = tissues.foreground(head)
    seen = np.nonzero(inside.any((0, 1)))[0][0]
    low = np.nonzero(fractions.any((0, 1, 2)))[0][0]
    starts = (0, 0, max(low - NECK_MM, seen, 0))
    kept = tuple(slice(start, n) for start, n in zip(starts, head.shape, strict=True))
    image = np.clip(head / np.percentile(head[inside], CAP_PERCENTILE), 0, 1)[kept].astype(np.float32)
    return Anatomy(image, fractions[(slice(None), *kept)], cut_affine(affine, kept))


def _with_neck(
    head: NDArray[np.float32], fractions: NDArray[np.float32], affine: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Continue a head whose field of view ends just below the brain: a network must learn that a neck is no brain."""
    missing = NECK_MM - int(np.nonzero(fractions.any((0, 1, 2)))[0][0])
    if missing <= 0:
        return head, fractions, affine
    log.info("The lowest %d mm of the neck are synthetic, since the field of view ends there.", missing)
    lowest = ndimage.binary_fill_holes(tissues.foreground(head)[:, :, 0])
    white = np.median(head[fractions[2] > 0.9])
    box = tuple(slice(-missing if axis == 2 else 0, n) for axis, n in enumerate(head.shape))
    grown = cut(head, box)
    grown[:, :, :missing] = white * shell.neck(lowest, missing, rng)
    return grown, np.stack([cut(part, box) for part in fractions]), cut_affine(affine, box)


def _paint_label_map(path: Path, rng: np.random.Generator) -> Anatomy:
    """Take tissues from a label map as they are, with one of the images that it can have."""
    labels, fractions, affine = labelmaps.read_label_map(path)
    image = labelmaps.paint(labels, labelmaps.depth(labels), rng)
    scaled = np.clip(image / np.percentile(image[labels > 0], CAP_PERCENTILE), 0, 1)
    return Anatomy(scaled.astype(np.float32), fractions, affine, labels)


def _dress_average(average: tissues.Atlas, rng: np.random.Generator) -> Anatomy:
    """Give an average brain sharp tissue and a synthetic head."""
    sharp = shell.deblur(average.image)
    regions = deep_regions(*average.fractions[1:], average.affine)
    fractions = assign_deep_tissue(tissues.classify(sharp, average.fractions), regions)
    painted = shell.paint_brain(sharp, fractions, rng)
    brain = fractions.sum(0) > 0
    return _finish(np.where(brain, painted, shell.wrap(brain, rng)), shell.sharpen(fractions), average.affine)


def _check_surfaces(folder: Path, anatomy: Anatomy) -> list[tuple]:
    """Compare cortex with white and pial surfaces, if the head has them.

    Only near the cortex: from outside the pial to inside the white surface, since the surfaces' inside also holds deep
    grey matter and ventricles. Dice = 2 |A and B| / (|A| + |B|), higher is better.
    """
    meshes = {depth: sorted(folder.glob(f"hemi-*_{depth}.gii")) for depth in ("white", "pial")}
    if not meshes["pial"]:
        return []
    shape = anatomy.label.shape
    white, pial = (
        np.any([fill(*read_surface(path), anatomy.affine, shape) for path in paths], axis=0)
        for paths in meshes.values()
    )
    outside, inside = CORTEX_MARGIN_MM
    near = ndimage.binary_dilation(pial, iterations=outside) & ~ndimage.binary_erosion(white, iterations=inside)
    cortex, grey, label = pial & ~white & near, (anatomy.label == GREY_MATTER) & near, anatomy.label
    return [
        ("cortical GM", "surfaces", "dice", dice(grey, cortex)),
        ("WM below the cortex", "surfaces", "dice", dice((label == WHITE_MATTER) & near, white & near)),
        ("cortical GM", "surfaces", "volume_ratio", grey.sum() / cortex.sum()),
        ("cortex in the brain mask", "surfaces", "fraction", (cortex & (label > 0)).sum() / cortex.sum()),
    ]


def _check_brain(folder: Path, anatomy: Anatomy) -> list[tuple]:
    """Compare the brain with the brain-only volume that came with a head, if any, by Dice (higher is better)."""
    path = folder / "desc-brain_T1w.nii.gz"
    if not path.exists():
        return []
    brain, affine = read_ras(path, HEAD_SPACING_MM)
    start = np.rint(np.linalg.inv(affine) @ anatomy.affine[:, 3])[:3].astype(int)
    box = tuple(slice(first, first + n) for first, n in zip(start, anatomy.label.shape, strict=True))
    return [("brain", "brain extraction of the package", "dice", dice(anatomy.label > 0, cut(brain, box) > 0))]
