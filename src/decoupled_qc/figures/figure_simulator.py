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
    shape = frame.cut(volume.numpy()).shape
    figure, grid, _ = image_grid(len(SEVERITIES), len(settings), shape, colour_bars=False)
    rows = []
    for column, (name, block) in enumerate(settings.items()):
        grid[0, column].set_title(style.artefact_label(name))
        for line, severity in enumerate(SEVERITIES):
            record = artefacts.sample_record(
                name,
                severity,
                tuple(volume.shape),
                spacing_mm,
                rng_for(seed, "simulator", name),
                block,
                local_probability=0.0,
            )
            show_image(grid[line, column], frame.cut(artefacts.corrupt(volume, [record]).numpy()))
            rows.append((scan["scan"], scan["subject"], name, severity, frame.index, json.dumps(record)))
    for axes, severity in zip(grid[:, 0], SEVERITIES, strict=True):
        axes.set_ylabel(f"{severity:g}")
    figure.supylabel("severity", fontsize=style.FONT_PT)
    caption = (
        f"The simulated artefacts at rising severity, each in one realisation, on one held-out subject "
        f"({scan['subject']}), axial slice {frame.index}, left is left. Severity 0 is the clean scan. Each scan is scaled "
        f"to [0, 1] after its artefact."
    )
    return Drawing(
        figure,
        pd.DataFrame(rows, columns=["scan", "subject", "artefact", "severity", "axial_slice", "record"]),
        caption,
    )
