"""What is wrong with each scan of a cohort, found before anything is trained on it."""

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from decoupled_qc.cohort.label_values import VALUE_OF_TISSUE, as_tissues
from decoupled_qc.dseg import CSF, GREY_MATTER, TISSUES, WHITE_MATTER
from decoupled_qc.errors import InputError
from decoupled_qc.images import AFFINE_TOLERANCE_MM, open_image
from decoupled_qc.scans import Scan, read_scan
from decoupled_qc.units import MM3_PER_ML

SPACING_MM = (0.3, 3.0)  # finer or coarser voxels are a wrong header, or a scan that shows no cortex
GREY_MATTER_ML = (300, 1100)  # far outside any adult or child's: the label is of something else
COLUMNS = ["subject", "scan", "status", "reason", "shape", "spacing_mm", "orientation", "sha256", "source_sha256"]


def check_scan(row: tuple) -> tuple[dict[str, str], tuple | None]:
    """Check a scan and its label; a bad one raises nothing.

    Args:
        row: Of the table that :func:`decoupled_qc.cohort.sources.find_scans` returns, with its columns as names.

    Returns:
        A row with :data:`COLUMNS`: ``status`` is ``ok`` or ``excluded``, ``reason`` one sentence, ``sha256`` of the shape and
        the voxels, scaled to their range, ``source_sha256`` of a scan that is ok, also of its place in the world and its
        label; and (slice, label slice or None) for a picture, None of a scan that cannot be read.
    """
    found = dict.fromkeys(COLUMNS, "") | {"subject": row.subject, "scan": row.scan, "status": "ok"}
    slices = label = None
    try:
        scan = read_scan(row.image)
        found |= {
            "shape": "x".join(map(str, scan.image.shape)),
            "spacing_mm": " ".join(f"{size:.3g}" for size in scan.spacing_mm),
            "orientation": "".join(nib.aff2axcodes(scan.file.affine)),
            "sha256": _content(scan),
        }
        slices = _middle(scan, None)
        check_header(scan)
        if row.dseg:
            label = read_label(Path(row.dseg), scan, row.dseg_values)
            slices = _middle(scan, label)
            check_contrast(Path(row.dseg), label, scan)
            check_volume(row.dseg, label, scan.spacing_mm)
        found["source_sha256"] = _source(found["sha256"], scan, label)
    except InputError as error:
        found |= {"status": "excluded", "reason": str(error)}
    return found, slices


def mark_twins(found: pd.DataFrame) -> pd.DataFrame:
    """Return an audit in which the reason of every scan whose image stands under several names says so.

    The status stays: either of them could be used, but not both.

    Args:
        found: Rows of :func:`check_scan`.
    """
    reason = found["reason"].copy()
    twins = found[(found["sha256"] != "") & found["sha256"].duplicated(keep=False)]
    for _, same in twins.groupby("sha256")["scan"]:
        for place, scan in same.items():
            others = ", ".join(sorted(same.drop(place)))
            reason[place] = f"{reason[place]} {scan} holds the same image as {others}: drop one of them.".strip()
    return found.assign(reason=reason)


def check_header(scan: Scan) -> None:
    """Check voxel sizes, and that the header says where the axes point, with one voice about left and right.

    Raises:
        InputError: They are implausible, no transforms, or do not agree.
    """
    low, high = SPACING_MM
    if not all(low <= size <= high for size in scan.spacing_mm):
        sizes = " x ".join(f"{size:.3g}" for size in scan.spacing_mm)
        raise InputError(f"{scan.path} has voxels of {sizes} mm, outside {low} to {high} mm: check its header.")
    if not scan.has_orientation:
        raise InputError(
            f"{scan.path} has a header without orientation (qform and sform code 0): write one into it once you know how its "
            "axes lie in the head."
        )
    try:
        qform, sform = scan.file.get_qform(coded=True)[0], scan.file.get_sform(coded=True)[0]
    except ValueError as error:  # of the quaternion, which only this reads where there is an sform
        raise InputError(
            f"{scan.path} has a qform that is no rotation ({error}): correct it, or set its code to 0."
        ) from error
    if qform is not None and sform is not None and np.linalg.det(qform[:3, :3]) * np.linalg.det(sform[:3, :3]) < 0:
        raise InputError(f"{scan.path} has a qform and an sform that mirror each other: find out which side is left.")


def read_label(path: Path, scan: Scan, meanings: str = "") -> np.ndarray:
    """Return a label (D, H, W) of the scan: 0 background, 1 CSF, 2 grey matter, 3 white matter.

    Raises:
        InputError: It cannot be read, lies on another grid, or has values without a meaning, see
            :func:`decoupled_qc.cohort.label_values.as_tissues`.
    """
    try:
        file = nib.squeeze_image(open_image(path))
        values = np.asanyarray(file.dataobj)
    except InputError:
        raise
    except Exception as error:  # nibabel, gzip and zlib each raise their own kinds
        raise InputError(f"{path} cannot be read as a label ({error}): copy it again.") from error
    if values.shape != tuple(scan.image.shape):
        raise InputError(f"{path} has shape {values.shape}, its scan {tuple(scan.image.shape)}: resample the label.")
    if not np.allclose(file.affine, scan.file.affine, atol=AFFINE_TOLERANCE_MM):
        raise InputError(f"{path} has another affine than its scan {scan.path.name}: resample the label.")
    return as_tissues(path, values, meanings)


def check_volume(name: str, label: np.ndarray, spacing_mm: Sequence[float]) -> None:
    """Check the volume of grey matter.

    Args:
        name: Of the label, for the message.
        label: (D, H, W), as :func:`read_label` returns it.
        spacing_mm: Voxel size along each axis, mm.

    Raises:
        InputError: No human brain has so much or so little.
    """
    volume_ml = float((label == GREY_MATTER).sum() * np.prod(spacing_mm) / MM3_PER_ML)
    low, high = GREY_MATTER_ML
    if not low <= volume_ml <= high:
        raise InputError(
            f"{name} has {volume_ml:.0f} ml of grey matter, outside {low} to {high} ml: look at the label."
        )


def check_contrast(path: Path, label: np.ndarray, scan: Scan) -> None:
    """Check that white matter is brighter than grey, as in every T1-weighted scan of an adult.

    Tissue numbers in another order would be taken without a word: BIDS's common ones begin with grey matter. CSF alone may
    change places: under a severe artefact it is no longer the darkest, and such scans are to stay.

    Raises:
        InputError: The scan's medians over the tissues of its label are in another order.
    """
    values = scan.image.numpy()
    medians = {tissue: float(np.median(values[label == tissue])) for tissue in TISSUES if (label == tissue).any()}
    if _rises(medians, (GREY_MATTER, WHITE_MATTER)):
        return
    if len(medians) == 3 and _rises(medians, (WHITE_MATTER, CSF, GREY_MATTER)):
        raise InputError(
            f"{path}: by the scan's medians over them the label's values look like BIDS's, 1 grey matter, 2 white matter, "
            "3 CSF: set dseg_values to '1=grey 2=white 3=csf' in a table of the scans, or put BIDS's lookup table, dseg.tsv, "
            "into the folder of the data set."
        )
    told = ", ".join(f"{name} {medians[value]:.3f}" for name, value in VALUE_OF_TISSUE.items() if value in medians)
    raise InputError(
        f"{path} does not fit its scan, whose medians over the label ({told} of its range) do not rise from grey to "
        "white matter, as in T1-weighted scans: look at both, and at dseg_values."
    )


def _rises(medians: dict[int, float], order: tuple[int, ...]) -> bool:
    """Say whether the medians of tissues, less those that are not there, rise strictly in an order."""
    ordered = [medians[tissue] for tissue in order if tissue in medians]
    return all(low < high for low, high in pairwise(ordered))


def _content(scan: Scan) -> str:
    """Return a hash of shape and scaled voxels; a copy under another name, data type, scale or affine has the same."""
    levels = (scan.image * 65535).round().int().numpy().astype(np.uint16)
    return hashlib.sha256(str(levels.shape).encode() + levels.tobytes()).hexdigest()


def _source(content: str, scan: Scan, label: np.ndarray | None) -> str:
    """Return a hash of all that preparation takes from a scan: when it changes, the scan is prepared again."""
    placed = content.encode() + scan.file.affine.astype(np.float64).tobytes()
    return hashlib.sha256(placed + (b"" if label is None else label.tobytes())).hexdigest()


def _middle(scan: Scan, label: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the middle axial slice, anterior up, the patient's left on the left, and the label's."""
    turn = nib.io_orientation(scan.file.affine)

    def cut(values: np.ndarray) -> np.ndarray:
        turned = nib.apply_orientation(values, turn)
        return turned[:, :, turned.shape[2] // 2].T[::-1].copy()

    return cut(scan.image.numpy()), None if label is None else cut(label)
