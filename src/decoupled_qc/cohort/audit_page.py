"""The pages of an audit: what was excluded and why, and a picture of every readable scan, each page self-contained."""

import base64
import io
from collections.abc import Sequence

import numpy as np
import pandas as pd
from PIL import Image
from scipy import ndimage

from decoupled_qc.dseg import GREY_MATTER
from decoupled_qc.templates import environment

TILE_PIXELS = 128
OUTLINE_RGB = (255, 170, 0)


def render(scans: Sequence[dict], found: pd.DataFrame | None, pages: Sequence[str]) -> str:
    """Return a page.

    Args:
        scans: Rows of an audit to show, with ``picture``, of :func:`tile` or None.
        found: The whole audit for its summary, on the first page; None on the others.
        pages: Names of all pages, to go to.
    """
    summary = None
    if found is not None:
        twins = found[(found["sha256"] != "") & found["sha256"].duplicated(keep=False)]
        summary = {
            "n_scans": len(found),
            "excluded": found[found["status"] != "ok"].to_dict("records"),
            "twins": [sorted(same["scan"]) for _, same in twins.groupby("sha256")],
        }
    return (
        environment("decoupled_qc.cohort").get_template("audit.html").render(scans=scans, summary=summary, pages=pages)
    )


def tile(image: np.ndarray, label: np.ndarray | None) -> str:
    """Return a slice as base64 PNG, its brightest 0.5 % clipped, with the outline of its grey matter."""
    top = max(np.percentile(image, 99.5), 1e-6)
    levels = (np.clip(image / top, 0, 1) * 255).astype(np.uint8)
    pixels = np.repeat(levels[..., None], 3, axis=2)
    if label is not None:
        grey = label == GREY_MATTER
        pixels[grey & ~ndimage.binary_erosion(grey)] = OUTLINE_RGB
    picture = Image.fromarray(pixels)
    picture.thumbnail((TILE_PIXELS, TILE_PIXELS))
    if label is None:
        picture = picture.convert("L")
    file = io.BytesIO()
    picture.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
