"""How far each artefact changes a real head at each severity, subject by subject: 1 - SSIM to the clean scan, inside the head.

Usage, after any run on embedded heads, here the demo's:

    python benchmarks/effect.py results/demo config/demo.yaml

Writes ``benchmarks/effect.csv``: a row per artefact and severity with the mean of 1 - SSIM (uniform window of 7 voxels; higher is
worse) over the clean test scans, its lowest and highest, and the share of subjects in whom it is higher than at the severity
before. In a subject each artefact has the same realisation at every severity.
"""

import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import torch
from monai.metrics.regression import compute_ssim_and_cs

from decoupled_qc import artefacts
from decoupled_qc.grids import foreground
from decoupled_qc.scan_table import read_scan_table
from decoupled_qc.seeds import rng_for
from decoupled_qc.settings import artefact_settings

OUT = Path(__file__).parent / "effect.csv"
SEVERITIES = [0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0]


def main(run: Path, overlay: Path) -> None:
    """Write the table."""
    settings, table = artefact_settings() | artefact_settings(overlay), run / "conditions/clean/scans.tsv"
    rows = []
    for scan in read_scan_table(table).itertuples():
        file = nib.load(table.parent / scan.image)
        image = torch.from_numpy(file.get_fdata(dtype=np.float32))
        spacing_mm = [float(size) for size in file.header.get_zooms()[:3]]
        for artefact in artefacts.available():
            effects = [effect(image, artefact, severity, spacing_mm, settings, scan.subject) for severity in SEVERITIES]
            rows += [
                (artefact, severity, scan.subject, value) for severity, value in zip(SEVERITIES, effects, strict=True)
            ]
    found = pd.DataFrame(rows, columns=["artefact", "severity", "subject", "effect"])
    found["rises"] = found.groupby(["artefact", "subject"])["effect"].diff() > 0
    grouped = found.groupby(["artefact", "severity"], sort=False)
    summary = grouped["effect"].agg(["mean", "min", "max"]).add_prefix("one_minus_ssim_")
    summary = summary.assign(share_rising=grouped["rises"].mean(), n_subjects=grouped.size()).reset_index()
    summary.loc[summary["severity"] == 0, "share_rising"] = np.nan
    summary.to_csv(OUT, index=False, float_format="%.4f")
    print(summary.to_string(index=False, float_format="%.4f"))


def effect(
    image: torch.Tensor, artefact: str, severity: float, spacing_mm: list[float], settings: dict, subject: str
) -> float:
    """Return 1 - SSIM inside the head of a scan with one artefact over all of it."""
    rng = rng_for(0, subject, artefact)
    record = artefacts.sample_record(
        artefact, severity, tuple(image.shape), spacing_mm, rng, settings[artefact], local_probability=0.0
    )
    corrupted = artefacts.corrupt(image, [record])
    ssim, _ = compute_ssim_and_cs(corrupted[None, None], image[None, None], 3, (7,) * 3, (1.5,) * 3, 1.0, "uniform")
    inside = torch.from_numpy(foreground(image.numpy()))[3:-3, 3:-3, 3:-3]
    return float(1 - ssim[0, 0][inside].mean())


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
