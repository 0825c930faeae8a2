"""One HTML page per scan: the verdict, the scan with its maps to scroll through, its numbers beside the reference."""

import base64
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import jinja2
import nibabel as nib
import numpy as np

from decoupled_qc.files import write_whole
from decoupled_qc.report import bands, stills, viewer, wording
from decoupled_qc.report.volumes import pack, peak_mm, read_volume, shrink

# Together they keep a page under 6 MB, even where nothing can be compressed.
IMAGE_VOXELS = 1_300_000
MAP_VOXELS = 260_000
STILL_PIXELS_PER_MM = 1.6
THUMBNAIL_PIXELS_PER_MM = 0.45


def environment() -> jinja2.Environment:
    """Return the templates of the pages; whatever they are given is escaped."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("decoupled_qc.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def write_scan_page(out: Path, row: Mapping, image: Path, reference: Mapping) -> Path:
    """Write the page of a scan that was predicted, and its thumbnail for the group's page.

    Args:
        out: Folder of the predictions, which holds the scan's maps at ``<folder>/<scan>_desc-*.nii.gz``.
        row: The scan's row of ``predictions.csv``, with status ``ok``.
        image: The scan itself, as any image that nibabel reads.
        reference: As in ``reference.json``: scores of validation scans.

    Returns:
        ``out/<folder>/<scan>.html``.
    """
    out, scan = Path(out), str(row["scan"])
    folder = out / str(row["folder"])
    artefacts = list(reference["artefacts"])
    maps = {cause: folder / f"{scan}_desc-{cause}_variance.nii.gz" for cause in ("total", *artefacts, "task")}
    pictures = _pictures(image, folder / f"{scan}_desc-gm_dseg.nii.gz", maps, str(row.get("cause")))
    script = viewer.put_viewer(out)
    page = (
        environment()
        .get_template("scan_page.html")
        .render(
            scan=scan,
            row=row,
            verdict=wording.verdict(row),
            decision=wording.text(row.get("decision")),
            unlike=wording.text(row.get("unlike_reason")) if wording.as_bool(row.get("unlike_training")) else "",
            facts=_facts(row),
            scores=bands.score_rows(row, reference),
            severities=bands.severity_strips(row, reference),
            reference=reference,
            pictures=pictures,
            colours=stills.COLOURS,
            script=quote(os.path.relpath(out / script, folder)) if script else "",
            index=quote(os.path.relpath(out / "index.html", folder)),
            version=viewer.VERSION,
        )
    )
    target = folder / f"{scan}.html"
    with write_whole(folder / f"{scan}_thumbnail.png") as partial:
        partial.write_bytes(pictures["thumbnail"])
    with write_whole(target) as partial:
        partial.write_text(page, encoding="utf-8")
    return target


def _facts(row: Mapping) -> list[tuple[str, str]]:
    """Return name and value of what the page lists under the verdict."""
    volume = wording.number(row.get("gm_volume_ml"), 0, "mL")
    if span := wording.interval(row, "gm_volume_low_ml", "gm_volume_high_ml", 0):
        volume += f" ({span})"
    return [
        ("Grey-matter volume", volume),
        ("Artefact uncertainty", wording.number(row.get("artefact_uncertainty"), -3)),
        ("Higher than, of clean reference scans", wording.number(row.get("percentile_clean"), 0, "%")),
        ("Nearest reference severity", wording.text(row.get("nearest_severity")) or "–"),
        ("SNR", wording.number(row.get("snr"), 1)),
        ("CNR", wording.number(row.get("cnr"), 2)),
        ("Input", wording.text(row.get("input"))),
    ]


def _pictures(image_path: Path, label_path: Path, map_paths: Mapping[str, Path], cause: str) -> dict:
    """Return what the viewer shows, as base64 NIfTI, and the still pictures of the same."""
    image = shrink(read_volume(image_path), IMAGE_VOXELS)
    label = shrink(read_volume(label_path), IMAGE_VOXELS)
    label = nib.Nifti1Image((np.asarray(label.dataobj) >= 0.5).astype(np.float32), label.affine)
    maps = {name: shrink(read_volume(path), MAP_VOXELS) for name, path in map_paths.items()}
    # one scale for all causes, so that the eye may compare them; the task's variance is of another kind
    tops = dict.fromkeys(maps, float(np.percentile(maps["total"].dataobj, 99.5)))
    tops["task"] = float(np.percentile(maps["task"].dataobj, 99.5))
    values = np.asarray(image.dataobj)
    low, top = float(values.min()), float(np.percentile(values, 99.8))
    at = _middle(np.asarray(label.dataobj))
    shown = cause if cause in maps else "total"
    planes = {"top": top, "pixels_per_mm": STILL_PIXELS_PER_MM}
    over = shrink_to(maps[shown], image.shape)
    thumbnail = stills.three_planes(image, label, at, top=top, pixels_per_mm=THUMBNAIL_PIXELS_PER_MM)
    return {
        "image": pack(image, low, float(values.max())),
        "image_low": low,
        "image_top": top,
        "label": pack(label, 0, 255),
        "maps": [
            {
                "name": name,
                "data": pack(volume, 0, tops[name]),
                "top": tops[name],
                "top_text": wording.number(tops[name], -3),
                "peak_mm": peak_mm(volume),
            }
            for name, volume in maps.items()
        ],
        "shown": shown,
        "shape": [int(n) for n in image.shape],
        "at": [int(n) for n in at],
        "still": _base64(stills.three_planes(image, label, at, **planes)),
        "still_map": _base64(
            stills.three_planes(image, None, at, **planes, overlay=over, overlay_top=tops[shown])
        ),
        "thumbnail": thumbnail,
    }


def shrink_to(volume: nib.Nifti1Image, shape: tuple[int, int, int]) -> nib.Nifti1Image:
    """Return a map on the image's finer grid, linear between its voxels."""
    from torch import from_numpy
    from torch.nn.functional import interpolate

    values = from_numpy(np.asarray(volume.dataobj, dtype=np.float32))[None, None]
    finer = interpolate(values, size=tuple(shape), mode="trilinear", align_corners=False)[0, 0].numpy()
    factor = np.array(volume.shape) / np.array(shape)
    change = nib.affines.from_matvec(np.diag(factor), (factor - 1) / 2)
    return nib.Nifti1Image(finer, volume.affine @ change)


def _middle(label: np.ndarray) -> tuple[int, int, int]:
    """Return the voxel at the grey matter's centre, or the volume's where there is none."""
    inside = np.argwhere(label)
    middle = inside.mean(axis=0) if len(inside) else (np.array(label.shape) - 1) / 2
    return tuple(int(n) for n in np.rint(middle))


def _base64(picture: bytes) -> str:
    return base64.b64encode(picture).decode()
