"""The simulator at a glance: every artefact, the paper's and others, at rising severity on one scan."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import torch

from decoupled_qc import artefacts
from decoupled_qc.figures import style
from decoupled_qc.figures.images import find_frame, image_grid, show_image
from decoupled_qc.figures.style import Drawing
from decoupled_qc.scan_table import read_conditions
from decoupled_qc.seeds import rng_for

SEVERITIES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
N_REALISATIONS = 8  # a zipper or a single move may well not touch the slice shown
STRENGTH_MM = 3.0  # room for a line of small print, and between rows
# What a severity is in physical terms, from a record and its volume's shape; an artefact without an entry shows none.
STRENGTHS: dict[str, Callable[[dict, Sequence[int]], str]] = {
    "motion": lambda record, shape: f"{_largest(record, 'angle')}°, {_largest(record, 'shift')} mm",
    "bias": lambda record, shape: f"× {np.exp(record['log_span']):.1f}",
    "ghosting": lambda record, shape: f"± {100 * record['amplitude']:.0f} %",
    "noise": lambda record, shape: f"{style.number(record['snr_db'], 0)} dB",
    "spike": lambda record, shape: f"{record['magnitude']:.1f} max|X|",
    "zipper": lambda record, shape: f"{record['magnitude']:.1f} rms",
    "blur": lambda record, shape: f"1/{record['ratio']:.1f} of planes",
    "wrap": lambda record, shape: f"{100 * len(record['planes']) / shape[record['axis']]:.0f} % missing",
}


def figure_simulator(clean: Path, settings: Mapping[str, dict], *, spacing_mm: float, seed: int) -> Drawing:
    """Draw one scan with each artefact (columns) at six severities (rows), each column in one realisation.

    Args:
        clean: Folder of the condition ``clean``; its first scan is used.
        settings: artefact → config block; the columns follow the acquisition.
        spacing_mm: Of the scan's voxels.
        seed: The run's.
    """
    scans = read_conditions([clean])
    scan = scans.iloc[0]
    volume = torch.from_numpy(nib.load(scan["image"]).get_fdata(dtype=np.float32))
    frame = find_frame(scans, scan)
    as_it_is = frame.cut(volume.numpy())
    head = as_it_is > as_it_is.mean()

    def corrupted(name: str, severity: float, realisation: int) -> tuple[np.ndarray, dict]:
        rng = rng_for(seed, "simulator", name, realisation)
        size = tuple(volume.shape)
        record = artefacts.sample_record(name, severity, size, spacing_mm, rng, settings[name], local_probability=0.0)
        return frame.cut(artefacts.corrupt(volume, [record]).numpy()), record

    def likeness(name: str, realisation: int) -> float:
        return float(np.corrcoef(corrupted(name, 1.0, realisation)[0][head], as_it_is[head])[0, 1])

    names = sorted(settings, key=lambda name: artefacts.load(name).CHAIN_POSITION)
    figure, grid, _ = image_grid(
        len(SEVERITIES), len(names), as_it_is.shape, colour_bars=False, title_mm=STRENGTH_MM, room_mm=8
    )
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.0)
    rows = []
    for column, name in enumerate(names):
        grid[0, column].set_title(style.artefact_label(name))
        chosen = int(np.argmin([likeness(name, realisation) for realisation in range(N_REALISATIONS)]))
        for line, severity in enumerate(SEVERITIES):
            image, record = corrupted(name, severity, chosen)
            show_image(grid[line, column], image)
            if severity > 0 and name in STRENGTHS:
                strength = STRENGTHS[name](record, volume.shape)
                grid[line, column].set_xlabel(strength, fontsize=style.SMALL_PT, labelpad=1)
            rows.append((scan["scan"], scan["subject"], name, severity, frame.index, json.dumps(record)))
    for axes, severity in zip(grid[:, 0], SEVERITIES, strict=True):
        axes.set_ylabel(f"{severity:g}")
    figure.supylabel("severity", fontsize=style.FONT_PT)
    caption = (
        f"The simulated artefacts, in the order of acquisition, at rising severity on one held-out subject "
        f"({scan['subject']}), axial slice {frame.index}, left is left. Severity 0 is the clean scan. Each artefact is "
        f"shown in that one of {N_REALISATIONS} realisations that changes the head in this slice most at severity 1. Below "
        f"each picture is what its severity means: the largest move in degrees and mm; the ratio of the strongest to the "
        f"weakest place of the bias field in the central half of each axis; the modulation of k-space; the signal-to-noise "
        f"ratio of powers; the spike in multiples of the largest sample of k-space; the zipper in multiples of the scan's "
        f"root mean square; the planes of k-space that are left, or missing. Each scan is scaled to [0, 1] after its "
        f"artefact, and its brightest 0.5 % are drawn white."
    )
    return Drawing(
        figure,
        pd.DataFrame(rows, columns=["scan", "subject", "artefact", "severity", "axial_slice", "record"]),
        caption,
    )


def _largest(record: dict, of: str) -> str:
    """Return the longest rotation (``angle``) or shift (``shift``) of a motion: of a move, or of the whole drift."""
    moves = record["angles_deg"] if of == "angle" else record["shifts_mm"]
    drift = record["drift_angle_deg"] if of == "angle" else record["drift_shift_mm"]
    return f"{max(np.linalg.norm(move) for move in [*moves, drift]):.0f}"
