"""An output folder of ``decoupled-qc predict`` around a small phantom, without any network."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from phantom import head
from scipy import ndimage

from decoupled_qc.apply.reference_checks import FORMAT

ARTEFACTS = ("spike", "noise", "blur", "wrap", "motion")
BANDS = ("0-0.25", "0.25-0.5", "0.5-0.75", "0.75-1")
SPACING_MM = 4.0


def reference(seed: int = 0) -> dict:
    """Return scores of 60 clean validation scans and of 30 per artefact and severity."""
    rng = np.random.default_rng(seed)

    def scores(median: float, n: int) -> list[float]:
        return sorted((median * rng.lognormal(0, 0.3, n)).tolist())

    clean = {"artefact_uncertainty": scores(0.01, 60), "task_uncertainty": scores(0.2, 60), "snr": scores(12, 60)}
    clean |= {f"uncertainty_{name}": scores(0.002, 60) for name in ARTEFACTS}
    severity = {name: {band: scores(0.02 * 2**place, 30) for place, band in enumerate(BANDS)} for name in ARTEFACTS}
    counts = {"n_scans": 660, "n_subjects": 60, "n_anatomies": 4}
    return {
        "format": FORMAT,
        "artefacts": list(ARTEFACTS),
        **counts,
        "level": 0.9,
        "clean": clean,
        "severity": severity,
    }


def row(scan: str, decision: str = "review", **changes: object) -> dict:
    """Return a row as predict writes it; a better decision has less uncertainty and a higher Dice."""
    rng = np.random.default_rng(list(scan.encode()))
    place = ("pass", "review", "fail").index(decision)
    own = {name: 0.002 * rng.lognormal(0, 0.3) for name in ARTEFACTS}
    cause = "none" if decision == "pass" else str(rng.choice(ARTEFACTS))
    if cause != "none":
        own[cause] *= 20 * place
    dice = (0.87, 0.71, 0.42)[place] + 0.02 * rng.standard_normal()
    total = sum(own.values())
    return {
        "scan": scan, "input": f"/data/{scan}.nii.gz", "folder": scan, "status": "ok", "error": "",
        "gm_volume_ml": 640 + 50 * rng.standard_normal(), "gm_volume_low_ml": 560.0, "gm_volume_high_ml": 720.0,
        "task_uncertainty": 0.2 * rng.lognormal(0, 0.2), "artefact_uncertainty": total,
        **{f"uncertainty_{name}": value for name, value in own.items()},
        "predicted_dice": dice, "predicted_dice_low": dice - 0.09, "predicted_dice_high": dice + 0.09,
        "decision": decision, "cause": cause, "cause_accuracy": 0.83 if cause != "none" else np.nan,
        "cause_accuracy_scans": 40 if cause != "none" else 0, "cause_accuracy_subjects": 60,
        "snr": 12 / (1 + place) * rng.lognormal(0, 0.2), "cnr": 2.5 / (1 + place) * rng.lognormal(0, 0.2),
        "percentile_clean": (50.0, 98.0, 100.0)[place],
        "nearest_severity": ("0-0.25", "0.25-0.5", "0.75-1")[place],
        "unlike_training": False, "unlike_reason": "", "seconds": 31.0,
    } | changes  # fmt: skip


def error_row(scan: str, sentence: str) -> dict:
    """Return the row of a scan that could not be used: nothing but the reason."""
    empty = dict.fromkeys(row("x"), np.nan)
    return empty | {"scan": scan, "input": f"/data/{scan}.nii.gz", "folder": scan, "status": "error", "error": sentence}


def write_table(out: Path, rows: list[dict]) -> None:
    """Write ``predictions.csv`` and ``reference.json``."""
    out.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(out / "predictions.csv", index=False)
    (out / "reference.json").write_text(json.dumps(reference()))


def write_maps(out: Path, row: dict, image: Path) -> dict[str, nib.Nifti1Image]:
    """Write a scan's maps beside a scan whose bright middle is its grey matter; return them by name."""
    file = nib.load(image)
    values = np.asarray(file.dataobj, dtype=np.float32)
    folder = out / row["folder"]
    folder.mkdir(parents=True, exist_ok=True)
    top = np.percentile(values, 99)
    label = (values > 0.3 * top) & (values < 0.65 * top)
    edge = ndimage.gaussian_gradient_magnitude(values / top, 1).astype(np.float32)
    own = {
        name: row[f"uncertainty_{name}"] * ndimage.shift(edge, place, order=1) * 10
        for place, name in enumerate(ARTEFACTS)
    }
    variances = {**own, "task": edge, "total": sum(own.values())}
    found = {f"{name}_variance": values for name, values in variances.items()}
    found |= {"gm_dseg": label.astype(np.uint8), "gm_probseg": label.astype(np.float32)}
    maps = {name: nib.Nifti1Image(values, file.affine) for name, values in found.items()}
    for name, volume in maps.items():
        nib.save(volume, folder / f"{row['scan']}_desc-{name}.nii.gz")
    return maps


def write_head(path: Path) -> Path:
    """Write the phantom as a scan."""
    affine = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1])
    affine[:3, 3] = -80, -96, -88
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image((1000 * head().numpy()).astype(np.int16), affine), path)
    return path
