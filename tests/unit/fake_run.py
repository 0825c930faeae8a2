"""A finished run that never happened: a head of ellipsoids, plausible scores, all files where a real run has them."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from scipy import ndimage

from decoupled_qc.analysis.scores import COLUMNS

ARTEFACTS = ["spike", "noise", "blur", "wrap", "motion"]
FOREIGN = ["torchio-motion", "torchio-ghosting", "torchio-noise", "monai-spike", "monai-gibbs"]
SPACING_MM = 4.0
SHAPE = (36, 42, 40)
LEVELS = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]


def make_fake_run(folder: Path, n_subjects: int, *, artefacts=tuple(ARTEFACTS), seed: int = 1) -> Path:
    """Write cohort, conditions, predictions, models and scores.csv of a run."""
    rng = np.random.default_rng(seed)
    names = [f"sub-s1{index + 1:02d}" for index in range(n_subjects)]
    others = [("sub-icbm01", "icbm", "train"), ("sub-colin01", "colin27", "validation")]
    rows = [(name, anatomy, role) for name, anatomy, role in others] + [(name, "s1", "test") for name in names]
    manifest = pd.DataFrame(rows, columns=["subject", "anatomy", "role"])
    manifest = manifest.assign(image="x.nii.gz", dseg="y.nii.gz", label_source="ellipsoids")
    (folder / "cohort").mkdir(parents=True)
    manifest.to_csv(folder / "cohort/manifest.tsv", sep="\t", index=False)

    heads = {name: _head(rng) for name in names}
    ease = dict(zip(names, rng.normal(0, 0.01, n_subjects), strict=True))  # what a subject's scans share
    scores = []
    plan = [("clean", ["none"], [None])]
    plan += [(f"sim-{name}", [name], [None]) for name in artefacts]
    plan += [(f"sweep-{name}", [name], LEVELS) for name in ("noise", "blur") if name in artefacts]
    plan += [("real", FOREIGN, [None])]
    for condition, kinds, levels in plan:
        place, maps = folder / "conditions" / condition, folder / "predictions/student/rep-0" / condition
        place.mkdir(parents=True)
        maps.mkdir(parents=True)
        table = []
        for subject in names[: 3 if condition.startswith("sweep") else None]:
            for number, (kind, level) in enumerate((kind, level) for kind in kinds for level in levels):
                severity = np.nan if kind == "none" else rng.uniform(0.05, 1) if level is None else level
                several = len(kinds) * len(levels) > 1
                scan = f"{subject}_{condition}" + (f"-{number:02d}" if several else "")
                effect = kind.split("-")[-1]
                record = {"artefact": effect, "severity": severity, "local": _local(subject, kind)}
                record |= {"snr_db": 20 - 30 * severity} if effect == "noise" else {"ratio": 2 + 10 * severity}
                records = [] if kind == "none" else [record]
                files = (f"{scan}.nii.gz", f"{subject}_dseg.nii.gz", json.dumps(records))
                table.append((scan, subject, "s1", condition, kind, severity, *files))
                image, dseg = heads[subject]
                damage = 0.0 if kind == "none" else severity
                if not condition.startswith("sweep"):
                    _write(place / f"{scan}.nii.gz", _corrupt(image, effect, damage, rng))
                    _write(place / f"{subject}_dseg.nii.gz", dseg)
                    _write_maps(maps, scan, dseg, effect, damage, artefacts, rng)
                scores += _scores(scan, subject, condition, kind, severity, damage, ease[subject], artefacts, rng)
        columns = [
            "scan",
            "subject",
            "anatomy",
            "condition",
            "artefact",
            "severity",
            "image",
            "dseg",
            "records",
        ]
        pd.DataFrame(table, columns=columns).to_csv(place / "scans.tsv", sep="\t", index=False)
    pd.DataFrame(scores, columns=list(COLUMNS)).to_csv(folder / "scores.csv", index=False)
    for model in ("task", *(f"teacher-{name}" for name in artefacts), "student"):
        place = folder / "models" / model / "rep-0"
        place.mkdir(parents=True)
        numbers = {"input": ["clean", *artefacts], "n_scans": 3, "dice": 0.9123, "variance_task": 0.1012}
        pd.DataFrame(numbers).to_csv(place / "diagnostics.csv", index=False)
    return folder


def _local(subject, kind):
    """Return the part that an artefact covers: of one subject the whole, of each other one more or less of the far side."""
    centre = int(subject[-1]) / 10 + 0.05 * len(kind) % 0.1
    return None if subject.endswith("1") else {"axis": 0, "centre": centre, "width": 0.05, "far_side": True}


def _head(rng):
    """Return image and tissue labels: scalp, skull, CSF, folded grey matter, white matter."""
    axes = np.meshgrid(*(np.linspace(-1, 1, size) for size in SHAPE), indexing="ij")
    sizes = rng.normal(1, 0.03, 3)
    radius = np.sqrt(sum((axis / size) ** 2 for axis, size in zip(axes, sizes, strict=True)))
    angle = np.arctan2(axes[1], axes[0])
    fold = 0.04 * np.sin(9 * angle) * np.cos(6 * axes[2])
    inner = radius + fold
    dseg = np.zeros(SHAPE, np.uint8)
    dseg[radius < 0.72] = 1
    dseg[inner < 0.66] = 2
    dseg[inner < 0.50] = 3
    image = np.select(
        [dseg == 3, dseg == 2, dseg == 1, radius < 0.80, radius < 0.9], [0.85, 0.6, 0.2, 0.08, 0.95], 0.01
    )
    image = ndimage.gaussian_filter(image, 0.5) + rng.normal(0, 0.01, SHAPE)
    return image.clip(0, 1).astype(np.float32), dseg


def _corrupt(image, effect, damage, rng):
    """Return a scan that looks a little like the artefact."""
    if effect == "noise":
        image = np.abs(image + rng.normal(0, 0.5 * damage, image.shape))
    elif effect in ("blur", "gibbs"):
        image = ndimage.gaussian_filter(image, (0, 3 * damage, 0))
    elif effect in ("wrap", "ghosting"):
        image = image + 0.6 * damage * np.roll(image, image.shape[1] // 2, axis=1)
    elif effect == "motion":
        image = (1 - damage / 2) * image + damage / 2 * ndimage.shift(image, (2, 1, 0))
    elif effect == "spike":
        waves = np.cos(np.arange(image.shape[0])[:, None, None] * 0.9 + np.arange(image.shape[1])[None, :, None] * 0.5)
        image = np.abs(image + damage * waves)
    return ((image - image.min()) / np.ptp(image)).astype(np.float32)


def _write(path, values):
    nib.save(nib.Nifti1Image(values, np.diag([SPACING_MM] * 3 + [1])), path)


def _write_maps(folder, scan, dseg, effect, damage, artefacts, rng):
    """Write a segmentation that is worse, and variances that are larger, the more damage there is."""
    smooth = ndimage.gaussian_filter((dseg == 2).astype(np.float32), 0.4)
    wobble = ndimage.gaussian_filter(rng.normal(0, 1, SHAPE), 1.5) * 2.5 * damage
    probability = (smooth + wobble * (dseg > 0)).clip(0, 1).astype(np.float32)
    edge = probability * (1 - probability)
    _write(folder / f"{scan}_label-GM_probseg.nii.gz", probability)
    _write(folder / f"{scan}_dseg.nii.gz", (probability > 0.5).astype(np.uint8))
    for cause in ("task", *artefacts):
        own = {"task": 1.0, effect: 1.5 * damage}.get(cause, 0.15 * damage)
        values = own * edge + rng.uniform(0, 0.005, SHAPE)
        _write(folder / f"{scan}_desc-{cause}_variance.nii.gz", values.astype(np.float32))


def _scores(scan, subject, condition, kind, severity, damage, ease, artefacts, rng):
    """Return the rows of one scan."""
    effect = kind.split("-")[-1]
    weight = {"noise": 0.35, "spike": 0.25, "motion": 0.2, "wrap": 0.15, "ghosting": 0.2}.get(effect, 0.08)
    dice = 0.92 + ease - weight * damage + rng.normal(0, 0.012)
    uncertainty = 0.02 * np.exp(4 * (0.93 - dice) + rng.normal(0, 0.15))
    reference = 640.0 + 800 * ease
    values = {
        ("dice", "gm"): dice,
        ("hausdorff_95_mm", "gm"): 2 + 8 * damage + 10 * ease,
        ("surface_dice", "gm"): 0.95 - 0.5 * damage,
        ("calibration_error", "brain"): 0.01 + 0.1 * damage,
        ("brier", "brain"): 0.05 + 0.1 * damage,
        ("log_loss_nats", "brain"): 0.2 + 0.4 * damage,
        ("error_overlap", "brain"): 0.4 - 0.1 * damage,
        ("volume_ml", "gm"): reference * (1 + 0.1 * damage + rng.normal(0, 0.01)),
        ("reference_volume_ml", "gm"): reference,
        ("volume_variance_ml", "gm"): 210 + 90 * damage + rng.normal(0, 4),
        ("volume_variance_ml", "above_certain"): 30 + 90 * damage + rng.uniform(0, 4),
        ("volume_sd_ml", "gm"): 800 + 300 * damage + rng.normal(0, 4),
        ("artefact_uncertainty", "mean"): uncertainty,
        ("artefact_uncertainty", "gm_mean"): 4 * uncertainty * np.exp(rng.normal(0, 0.1)),
        ("artefact_uncertainty", "per_gm"): 8 * uncertainty,
        ("entropy", "mean"): uncertainty * np.exp(rng.normal(0, 0.2)),
        ("snr", "reference"): 6 - 3 * damage * rng.uniform(0, 1.2) + rng.normal(0, 0.8),
        ("cnr", "reference"): 2 - damage * rng.uniform(-0.4, 1) + rng.normal(0, 0.3),
        ("snr", "predicted"): 6 - damage + rng.normal(0, 0.8),
        ("cnr", "predicted"): 2 - 0.3 * damage + rng.normal(0, 0.3),
        ("variance_task", "mean"): 0.03 + 0.002 * rng.normal(),
        **{(f"variance_{name}", "mean"): uncertainty * (0.7 if name == effect else 0.1) for name in artefacts},
    }
    if condition == "real":
        values["rating", "stand_in"] = float(1 + np.searchsorted([0.7, 0.8, 0.87], dice))
    return [(subject, scan, "student", 0, condition, kind, severity, *key, value) for key, value in values.items()]
