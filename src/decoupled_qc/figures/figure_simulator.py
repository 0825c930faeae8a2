"""The simulator at a glance: every artefact, the paper's and others, at rising severity on one scan."""

import json
from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import torch

from decoupled_qc import artefacts
from decoupled_qc.figures import style
from decoupled_qc.figures.images import find_frame, image_grid, read_scans, show_image
from decoupled_qc.figures.style import Drawing
from decoupled_qc.seeds import rng_for

SEVERITIES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
N_REALISATIONS = 8  # a zipper or a single move may well not touch the slice shown
TITLE_MM = 1.0  # between the rows, which have no titles


def figure_simulator(clean: Path, settings: Mapping[str, dict], *, spacing_mm: float, seed: int) -> Drawing:
    """Draw one scan with each artefact (columns) at six severities (rows), each column in one realisation.

    Args:
        clean: Folder of the condition ``clean``; its first scan is used.
        settings: artefact → config block, in the order of the columns.
        spacing_mm: Of the scan's voxels.
        seed: The run's.
    """
    scans = read_scans(clean)
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

    figure, grid, _ = image_grid(len(SEVERITIES), len(settings), as_it_is.shape, colour_bars=False, title_mm=TITLE_MM)
    rows = []
    for column, name in enumerate(settings):
        grid[0, column].set_title(style.artefact_label(name))
        chosen = int(np.argmin([likeness(name, realisation) for realisation in range(N_REALISATIONS)]))
        for line, severity in enumerate(SEVERITIES):
            image, record = corrupted(name, severity, chosen)
            show_image(grid[line, column], image)
            rows.append((scan["scan"], scan["subject"], name, severity, frame.index, json.dumps(record)))
    for axes, severity in zip(grid[:, 0], SEVERITIES, strict=True):
        axes.set_ylabel(f"{severity:g}")
    figure.supylabel("severity", fontsize=style.FONT_PT)
    caption = (
        f"The simulated artefacts at rising severity on one held-out subject ({scan['subject']}), axial slice "
        f"{frame.index}, left is left. Severity 0 is the clean scan. Each artefact is shown in that one of "
        f"{N_REALISATIONS} realisations that changes the head in this slice most at severity 1. Each scan is scaled to "
        f"[0, 1] after its artefact."
    )
    return Drawing(
        figure,
        pd.DataFrame(rows, columns=["scan", "subject", "artefact", "severity", "axial_slice", "record"]),
        caption,
    )
