"""What a scan's page shows: the scan, its outline and maps for the viewer, and still pictures of the same."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass

import nibabel as nib
import numpy as np

from decoupled_qc.report import wording
from decoupled_qc.report.stills import three_planes
from decoupled_qc.report.volumes import canonical, enlarge, pack, peak_mm, shrink
from decoupled_qc.threads import side_by_side

# Together they keep a page under 6 MB, even where nothing can be compressed.
IMAGE_VOXELS = 1_300_000
MAP_VOXELS = 260_000
STILL_PIXELS_PER_MM = 1.6
THUMBNAIL_PIXELS_PER_MM = 0.45


@dataclass(frozen=True)
class Pictures:
    """A scan for a page; volumes as base64 of 8-bit NIfTI files, stills as base64 PNG.

    Attributes:
        image, label: Of one grid; the label is 1 in grey matter.
        low, top: Intensities drawn black and white.
        shape: Of that grid: left to right, back to front, foot to head.
        at: Voxel at the grey matter's centre.
        maps: Per cause ``name``, ``data``, ``top`` of its colour scale, the same as ``top_text``, and ``peak_mm``, where it
            is highest.
        shown: Name of the map shown first.
        still, still_map: Three planes with the outline, and under that map.
        thumbnail: PNG.
    """

    image: str
    label: str
    low: float
    top: float
    shape: tuple[int, ...]
    at: tuple[int, ...]
    maps: list[dict]
    shown: str
    still: str
    still_map: str
    thumbnail: bytes


def draw_pictures(
    image: nib.Nifti1Image,
    label: nib.Nifti1Image,
    maps: Mapping[str, nib.Nifti1Image],
    *,
    shown: str,
    dimming: float,
) -> Pictures:
    """Return a scan's pictures.

    Args:
        image: The scan, as :func:`decoupled_qc.report.volumes.read_volume` returns it.
        label: Its predicted grey matter, of any orientation.
        maps: Cause → variance on the label's grid; ``total`` and ``task`` among them.
        shown: Cause shown first.
        dimming: How much further the scale of all causes but the task reaches than the 99.5th percentile of the total.
    """
    image = shrink(image, IMAGE_VOXELS)
    volumes = [(label, IMAGE_VOXELS), *((volume, MAP_VOXELS) for volume in maps.values())]
    label, *shrunk = side_by_side(lambda one: shrink(canonical(one[0]), one[1]), volumes)
    label = nib.Nifti1Image((label.get_fdata() >= 0.5).astype(np.float32), label.affine)
    maps = dict(zip(maps, shrunk, strict=True))
    # one scale for all artefacts, so that the eye may compare them; the task's variance is of another kind
    tops = dict.fromkeys(maps, dimming * float(np.percentile(maps["total"].dataobj, 99.5)))
    tops["task"] = float(np.percentile(maps["task"].dataobj, 99.5))
    low, top = (float(level) for level in np.percentile(image.dataobj, (0, 99.8)))
    at = _middle(np.asarray(label.dataobj))
    still = {"low": low, "top": top, "pixels_per_mm": STILL_PIXELS_PER_MM}
    over = {"overlay": enlarge(maps[shown], image.shape), "overlay_top": tops[shown]}
    scaled = [(image, low, top), (label, 0, 255), *((volume, 0, tops[name]) for name, volume in maps.items())]
    packed_image, packed_label, *packed = side_by_side(lambda one: pack(*one), scaled)
    return Pictures(
        image=packed_image,
        label=packed_label,
        low=low,
        top=top,
        shape=tuple(int(n) for n in image.shape),
        at=at,
        maps=[
            {
                "name": name,
                "data": data,
                "top": tops[name],
                "top_text": wording.number(tops[name], -3),
                "peak_mm": peak_mm(volume),
            }
            for (name, volume), data in zip(maps.items(), packed, strict=True)
        ],
        shown=shown,
        still=_base64(three_planes(image, label, at, **still)),
        still_map=_base64(three_planes(image, None, at, **still, **over)),
        thumbnail=three_planes(image, label, at, low=low, top=top, pixels_per_mm=THUMBNAIL_PIXELS_PER_MM),
    )


def _middle(label: np.ndarray) -> tuple[int, ...]:
    """Return the voxel at the grey matter's centre, or the volume's where there is none."""
    inside = np.argwhere(label)
    middle = inside.mean(axis=0) if len(inside) else (np.array(label.shape) - 1) / 2
    return tuple(int(n) for n in np.rint(middle))


def _base64(picture: bytes) -> str:
    return base64.b64encode(picture).decode()
