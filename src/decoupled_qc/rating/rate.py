"""Write a page on which a person rates a run's segmentations blind, from 1 (worst) to 4 (best)."""

import argparse
import base64
import getpass
import hashlib
import io
import re
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image

from decoupled_qc.errors import InputError
from decoupled_qc.files import write_whole
from decoupled_qc.scan_table import read_scan_table
from decoupled_qc.seeds import rng_for
from decoupled_qc.templates import environment

CUTS_PER_AXIS = 6
TILE_PIXELS = 150
LABELS = {1: "unusable", 2: "poor", 3: "fair", 4: "good"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("results", type=Path, help="folder of the run, such as results/mrart")
    parser.add_argument("--rater", help="who rates; the order of the scans is this person's own (default: your login)")
    parser.add_argument("--condition", default="real", help="whose segmentations (default: %(default)s)")
    parser.add_argument("--model", default="student", help="that made them (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="page to write (default: <results>/rate-<rater>.html)")


def run(arguments: argparse.Namespace) -> None:
    """Write the page and say how to use it.

    Raises:
        InputError: The run has no segmentations of that condition, or the rater's name cannot be in a file name.
    """
    rater = login() if arguments.rater is None else arguments.rater
    if not rater.replace("-", "").replace("_", "").isalnum():
        raise InputError(f"--rater '{rater}' is no plain name: use letters, digits, - and _.")
    scans = arguments.results / "conditions" / arguments.condition / "scans.tsv"
    maps = arguments.results / "predictions" / arguments.model / "rep-0" / arguments.condition
    for path in (scans, maps):
        if not path.exists():
            raise InputError(f"{path} does not exist: give the folder of a run that has predicted this condition.")
    out = arguments.out or arguments.results / f"rate-{rater}.html"
    with write_whole(out) as file:
        file.write_text(page(read_scan_table(scans)["scan"].tolist(), maps, rater))
    print(f"Open {out} in a browser, rate with the keys 1 to 4, and save the table.")
    print("Table 2 and figures 9 and 10 read it by: --config 'scoring={ratings: PATH}'")


def login() -> str:
    """Return the user's login as a plain name, or ``rater`` where there is none, as in some containers."""
    try:
        name = getpass.getuser()
    except (ImportError, KeyError, OSError):  # which of them depends on system and Python
        return "rater"
    return re.sub(r"[^A-Za-z0-9_-]", "-", name)


def page(scans: list[str], maps: Path, rater: str) -> str:
    """Return a self-contained HTML page with the grey matter of each scan, in the rater's own random order.

    Neither image nor uncertainty is shown, and names are not readable in the page, so that nothing but the segmentation is
    judged. What was rated is kept in the browser when the page is closed.

    Args:
        scans: Names.
        maps: Folder with ``<scan>_dseg.nii.gz``, 1 where a voxel was called grey matter.
        rater: Who rates.

    Source: Shaw et al. 2021, section 7.1: a blind rating of the segmentations from 1 to 4.
    """
    order = rng_for(0, rater, "rate").permutation(len(scans))
    shown = [
        {
            "code": base64.b64encode(scans[index].encode()).decode(),
            "picture": picture(maps / f"{scans[index]}_dseg.nii.gz"),
        }
        for index in order
    ]
    seen = hashlib.sha256("".join(scan["code"] + scan["picture"] for scan in shown).encode()).hexdigest()[:16]
    return (
        environment("decoupled_qc.rating")
        .get_template("rate.html")
        .render(scans=shown, rater=rater, labels=LABELS, seen=seen)
    )


def picture(path: Path) -> str:
    """Return axial, coronal and sagittal cuts through a label as one base64 PNG, white on black.

    Args:
        path: Of a label (D, H, W) in RAS order; 0 is background.
    """
    label = np.asanyarray(nib.load(path).dataobj) > 0
    rows = []
    for axis in (2, 1, 0):
        across = np.flatnonzero(label.any(axis=tuple(other for other in range(3) if other != axis)))
        first, last = (across[0], across[-1]) if len(across) else (0, label.shape[axis] - 1)
        places = np.linspace(first, last, CUTS_PER_AXIS + 2)[1:-1].round().astype(int)
        rows.append(np.hstack([_tile(np.take(label, place, axis)) for place in places]))
    file = io.BytesIO()
    Image.fromarray(np.vstack(rows)).convert("1").save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def _tile(cut: np.ndarray) -> np.ndarray:
    """Return a cut as a square of pixels, the second axis upwards."""
    turned = cut.T[::-1]
    size = max(turned.shape)
    square = np.zeros((size, size), np.uint8)
    top, left = ((size - n) // 2 for n in turned.shape)
    square[top : top + turned.shape[0], left : left + turned.shape[1]] = turned * 255
    return np.asarray(Image.fromarray(square).resize((TILE_PIXELS, TILE_PIXELS), Image.Resampling.NEAREST))
