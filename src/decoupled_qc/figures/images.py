"""Slices of a run's volumes, ready to draw: always axial and above the eyes, never a whole head from the side."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import ListedColormap, Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from decoupled_qc.dseg import GREY_MATTER
from decoupled_qc.errors import InputError
from decoupled_qc.figures import style
from decoupled_qc.simulation.affected import part_of_artefacts

MARGIN_VOXELS = 2
HEAD_LEVEL = 0.1  # of the brightest percentile: what counts as head when a slice is cropped
OUR_COLOUR, REFERENCE_COLOUR = "#56b4e9", "#ffd000"
VARIANCE_MAP = "inferno"
EDGE_COLOUR = "#ffffff"


@dataclass(frozen=True)
class ScanSlices:
    """One axial slice of a scan and of a network's maps of it, (H, W) each, row 0 anterior, column 0 left.

    Without predictions ``predicted`` is the reference. ``affected`` is where the scan's artefacts weigh, everywhere for one
    that covers the whole scan.
    """

    scan: str
    slice_index: int
    subject: str
    image: np.ndarray
    reference: np.ndarray
    predicted: np.ndarray
    affected: np.ndarray
    variance: dict[str, np.ndarray]


def read_slices(
    scans: pd.DataFrame, names: Sequence[str], predictions: Sequence[Path], causes: Sequence[str]
) -> list[ScanSlices]:
    """Read the slice through the most grey matter of each scan, all cropped alike so that they line up.

    The place is found on the same subject's clean scan where the table has one, so that all scans of a
    subject show the same place.

    Args:
        scans: As :func:`decoupled_qc.scan_table.read_conditions` returns it.
        names: Of the scans to read.
        predictions: Folders of the conditions' maps; empty to read none.
        causes: Variance maps to read.

    Raises:
        InputError: A scan is not in the table.
    """
    missing = sorted(set(names) - set(scans["scan"]))
    if missing:
        raise InputError(
            f"Scan '{missing[0]}' is in the scores but in no scans.tsv: simulate and predict its condition again."
        )
    table = scans.drop_duplicates("scan").set_index("scan")
    frames = {name: find_frame(scans, table.loc[name]) for name in names}
    crops = [(frame.rows, frame.columns) for frame in frames.values()]
    rows, columns = (
        slice(min(crop[axis].start for crop in crops), max(crop[axis].stop for crop in crops)) for axis in (0, 1)
    )
    folders = {Path(path).name: Path(path) for path in predictions}
    found = []
    for name in names:
        row = table.loc[name]
        frame = Frame(frames[name].index, rows, columns)
        labels = _volume(row["dseg"])
        reference = frame.cut(labels) == GREY_MATTER
        maps = folders[row["folder"]] if folders else None
        found.append(
            ScanSlices(
                scan=name,
                slice_index=frame.index,
                subject=row["subject"],
                image=frame.cut(_volume(row["image"])),
                reference=reference,
                predicted=frame.cut(_volume(maps / f"{name}_dseg.nii.gz")) == 1 if maps else reference,
                affected=frame.cut(part_of_artefacts(json.loads(row["records"]), labels.shape)),
                variance={cause: frame.cut(_volume(maps / f"{name}_desc-{cause}_variance.nii.gz")) for cause in causes},
            )
        )
    return found


def _volume(path: Path) -> np.ndarray:
    """Return a NIfTI file's voxels, (D, H, W)."""
    return np.asanyarray(nib.load(path).dataobj)


@dataclass(frozen=True)
class Frame:
    """Which axial slice to show, and which part of it."""

    index: int
    rows: slice
    columns: slice

    def cut(self, volume: np.ndarray) -> np.ndarray:
        """Return the slice of a (D, H, W) RAS volume as (H, W): front of the head up, left on the left."""
        return volume[self.rows, self.columns, self.index].T[::-1]


def find_frame(scans: pd.DataFrame, scan: pd.Series) -> Frame:
    """Return the slice with the most grey matter in the upper half of its extent, and the box of the head in it."""
    clean = scans[(scans["condition"] == "clean") & (scans["subject"] == scan["subject"])]
    image, reference = _volume(clean.iloc[0]["image"] if len(clean) else scan["image"]), _volume(scan["dseg"])
    area = (reference == GREY_MATTER).sum(axis=(0, 1))
    levels = np.flatnonzero(area)
    if levels.size:
        middle = (levels[0] + levels[-1]) // 2
        index = int(middle + np.argmax(area[middle:]))
    else:
        index = image.shape[2] // 2
    head = (image[:, :, index] > HEAD_LEVEL * np.percentile(image, 99)) | (reference[:, :, index] > 0)
    return Frame(index, _extent(head.any(axis=1)), _extent(head.any(axis=0)))


def _extent(inside: np.ndarray) -> slice:
    """Return the range of true entries with a margin."""
    found = np.flatnonzero(inside)
    if not found.size:
        return slice(0, len(inside))
    return slice(max(0, found[0] - MARGIN_VOXELS), min(len(inside), found[-1] + 1 + MARGIN_VOXELS))


def show_image(axes: Axes, image: np.ndarray) -> AxesImage:
    """Draw a scan in grey, its brightest 0.5 % clipped."""
    return _show(axes, image, "gray", Normalize(0.0, float(np.percentile(image, 99.5)) or 1.0))


def show_scan(axes: Axes, slices: ScanSlices) -> None:
    """Draw a scan in grey with a dashed line around the part that an artefact covers; say so if the slice is not in it."""
    show_image(axes, slices.image)
    if not slices.affected.any():
        axes.set_xlabel("slice outside\nthe part", fontsize=style.SMALL_PT, labelpad=1)
    elif not slices.affected.all():
        axes.contour(slices.affected.astype(float), [0.5], colors=EDGE_COLOUR, linewidths=0.6, linestyles="dashed")


def show_segmentation(axes: Axes, slices: ScanSlices) -> None:
    """Draw a scan with the predicted grey matter filled and the reference's outline."""
    show_image(axes, slices.image)
    if slices.predicted.any():
        fill = np.ma.masked_equal(slices.predicted.astype(float), 0)
        axes.imshow(fill, cmap=ListedColormap([OUR_COLOUR]), vmin=0, vmax=1, alpha=0.55)
    if slices.reference.any():
        axes.contour(slices.reference.astype(float), [0.5], colors=REFERENCE_COLOUR, linewidths=0.5)


def show_variance(axes: Axes, variance: np.ndarray, top: float) -> AxesImage:
    """Draw a variance map on a scale from 0 to ``top`` whose colours rise with its root, so that weak maps can be read."""
    return _show(axes, variance, VARIANCE_MAP, PowerNorm(0.5, 0.0, top))


def top_of(maps: Sequence[np.ndarray]) -> float:
    """Return the upper end of a colour scale that several maps share: their 99.5th percentile."""
    return float(np.percentile(np.concatenate([values.ravel() for values in maps]), 99.5)) or 1.0


def _show(axes: Axes, values: np.ndarray, colours: str, norm: Normalize) -> AxesImage:
    axes.set(xticks=[], yticks=[])
    axes.set_frame_on(False)
    return axes.imshow(values, cmap=colours, norm=norm)


def nearest_severity(wide: pd.DataFrame, artefact: str, severity: float) -> pd.Series:
    """Return the simulated scan of one artefact whose severity is nearest a wanted one; the first of equals by name.

    Args:
        wide: One row a scan.
        artefact: Its name.
        severity: (0, 1].
    """
    scans = wide[wide["condition"] == f"sim-{artefact}"].sort_values("scan")
    return scans.loc[(scans["severity"] - severity).abs().idxmin()]


def image_grid(
    n_rows: int,
    n_columns: int,
    shape: tuple[int, int],
    *,
    colour_bars: bool,
    title_mm: float = 5.0,
    room_mm: float = 6.0,
) -> tuple[Figure, np.ndarray, np.ndarray]:
    """Return a figure for rows of slices that line up, and a narrow column for colour bars.

    Args:
        n_rows, n_columns: Of slices.
        shape: (H, W) of a slice.
        colour_bars: Whether to keep the column; its axes are hidden until a bar is drawn into one.
        title_mm: Room above each row.
        room_mm: Room for labels at the left; colour bars have theirs beside it.

    Returns:
        Figure, (n_rows, n_columns) axes for slices, (n_rows,) axes for bars (empty without).
    """
    room_mm += 12 if colour_bars else 0
    side_mm = min(30.0, (style.TWO_COLUMNS_MM - room_mm) / n_columns)
    figure = style.new_figure(n_columns * side_mm + room_mm, n_rows * (side_mm * shape[0] / shape[1] + title_mm) + 6)
    widths = [1.0] * n_columns + ([0.06] if colour_bars else [])
    axes = figure.subplots(n_rows, len(widths), squeeze=False, width_ratios=widths)
    for bar in axes[:, n_columns:].flat:
        bar.set_axis_off()
    return figure, axes[:, :n_columns], axes[:, n_columns:].ravel()


def colour_bar(figure: Figure, axes: Axes, drawn: AxesImage, label: str) -> None:
    """Draw a colour bar into its own axes."""
    axes.set_axis_on()
    finish_bar(figure.colorbar(drawn, cax=axes), label, bar_ticks(drawn.norm.vmax))


def finish_bar(bar: Colorbar, label: str, ticks: Sequence[float]) -> None:
    """Give a colour bar its label and ticks, which are plain numbers."""
    bar.outline.set_linewidth(0.4)
    bar.set_label(label, fontsize=style.SMALL_PT)
    bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])


def bar_ticks(top: float) -> list[float]:
    """Return 0, a quarter of the largest of 1, 2 and 4 times a power of ten up to ``top``, and that number.

    On a scale that rises with the root the quarter lies halfway, and numbers near the top, which crowd there, are left out.
    """
    decade = 10.0 ** math.floor(math.log10(top))
    largest = max(step * decade for step in (1, 2, 4) if step == 1 or step * decade <= top)
    return [0.0, largest / 4, largest]


def explain_segmentation(figure: Figure) -> None:
    """Write below a figure what the overlay's colours mean."""
    handles = [
        Patch(color=OUR_COLOUR, alpha=0.55, label="predicted grey matter"),
        Line2D([], [], color=REFERENCE_COLOUR, label="reference outline"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
