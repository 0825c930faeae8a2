"""Still pictures of a scan: three planes, with the grey matter's outline and, over them, a map."""

import io

import nibabel as nib
import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

OUTLINE_RGB = (255, 214, 10)
GAP_PIXELS = 4

# Of a map, from nothing to the top of its scale: part, red, green, blue, opacity. The viewer takes the same.
COLOURS = ((0.0, 70, 10, 90, 0), (0.3, 150, 30, 100, 110), (0.65, 240, 110, 30, 200), (1.0, 255, 245, 160, 245))


def three_planes(
    image: nib.Nifti1Image,
    label: nib.Nifti1Image | None,
    at: tuple[int, int, int],
    *,
    low: float,
    top: float,
    pixels_per_mm: float,
    overlay: nib.Nifti1Image | None = None,
    overlay_top: float = 1.0,
) -> bytes:
    """Return axial, coronal and sagittal plane side by side as PNG; the patient's left is on the left, front and head up.

    Args:
        image: Axes left to right, back to front, foot to head.
        label: Same grid, 1 in grey matter; None draws no outline.
        at: Voxel that the planes go through.
        low, top: Intensities drawn as black and as white.
        overlay: Map on the same grid, drawn over the image up to ``overlay_top``.
    """
    spacing_mm = nib.affines.voxel_sizes(image.affine)
    planes = []
    for axis in (2, 1, 0):
        across, up = [other for other in range(3) if other != axis]
        size = tuple(max(round(image.shape[n] * spacing_mm[n] * pixels_per_mm), 1) for n in (across, up))
        plane = _plane(image, axis, at, size, Image.Resampling.BICUBIC)
        levels = (np.clip((plane - low) / ((top - low) or 1), 0, 1) * 255)[..., None].repeat(3, axis=2)
        if overlay is not None:
            part = _plane(overlay, axis, at, size, Image.Resampling.BILINEAR) / (overlay_top or 1)
            stops = np.array(COLOURS)
            colour = np.stack([np.interp(part, stops[:, 0], stops[:, n]) for n in range(1, 5)], axis=2)
            opacity = colour[..., 3:] / 255
            levels = levels * (1 - opacity) + colour[..., :3] * opacity
        if label is not None:
            grey = _plane(label, axis, at, size, Image.Resampling.BILINEAR) >= 0.5
            levels[grey & ~ndimage.binary_erosion(grey)] = OUTLINE_RGB
        planes.append(Image.fromarray(levels.astype(np.uint8)))
    return _png(_side_by_side(planes))


def _plane(volume: nib.Nifti1Image, axis: int, at, size, resampling) -> np.ndarray:
    """Return one plane in pixels of equal size, (height, width), float32, up on top."""
    plane = np.take(np.asarray(volume.dataobj, dtype=np.float32), at[axis], axis=axis)
    return np.asarray(Image.fromarray(np.ascontiguousarray(plane.T[::-1])).resize(size, resampling))


def _side_by_side(planes: list[Image.Image]) -> Image.Image:
    height = max(plane.height for plane in planes)
    canvas = Image.new("RGB", (sum(plane.width + GAP_PIXELS for plane in planes) - GAP_PIXELS, height))
    left = 0
    for plane in planes:
        canvas.paste(plane, (left, (height - plane.height) // 2))
        left += plane.width + GAP_PIXELS
    if height > 150:
        draw = ImageDraw.Draw(canvas)
        draw.text((3, height // 2), "L", fill="white")
        draw.text((planes[0].width - 9, height // 2), "R", fill="white")
    return canvas


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.quantize(96, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()
