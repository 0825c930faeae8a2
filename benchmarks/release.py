"""The released weights on real scans of people they have never seen: `python benchmarks/release.py DATA --model FOLDER`.

DATA holds public data that no weights were trained on: `labelled_brain/test_scan.npz` (voxelmorph, a brain with
FreeSurfer labels), and the BIDS folders `ds002748` (brains) and `ds000011` (heads) of OpenNeuro. Tables are written to
`benchmarks/release`:

- `labelled.csv`, `classical.csv`: Dice with the FreeSurfer labels at 1 mm, of the weights and of the classical route
  (registration, N4, Atropos).
- `scans.csv`: what the weights say of each scan as it is.
- `corrupted.csv`: the same of each scan with one simulated artefact of severity 0.1, 0.5 and 1, on the model's grid.
- `round_trip.csv`: each scan against copies that hold the same head: axes in another order, mirrored, resampled, as int16.
"""

import argparse
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import torch
from nibabel.processing import resample_from_to, resample_to_output
from tqdm import tqdm

from decoupled_qc import artefacts
from decoupled_qc.apply.folder import Model, open_model
from decoupled_qc.apply.predictor import Predictor
from decoupled_qc.apply.space import to_model_grid
from decoupled_qc.cohort import aseg
from decoupled_qc.cohort.anatomies import most_probable
from decoupled_qc.cohort.label import read_atlas
from decoupled_qc.cohort.prepare import classical_fractions
from decoupled_qc.evaluation import metrics
from decoupled_qc.scans import Scan, as_scan, read_scan
from decoupled_qc.seeds import rng_for
from decoupled_qc.settings import artefact_settings

OUT = Path(__file__).parent / "release"
SETTINGS = artefact_settings(Path(__file__).parents[1] / "config" / "release.yaml")
PARTS = ["classical", "labelled", "scans", "corrupted", "round_trip"]
SEVERITIES = (0.1, 0.5, 1.0)  # a weak artefact, a middling one and the worst
REGISTRATION_MM = 2.0
RESAMPLED_MM = 0.8
GREY_MATTER = 2
LIA_1MM = np.array([[-1.0, 0, 0, 80], [0, 0, 1, -112], [0, -1, 0, 96], [0, 0, 0, 1]])  # of test_scan.npz, by its labels


def labelled_brain(data: Path) -> tuple[nib.Nifti1Image, np.ndarray]:
    """Return the labelled brain and where its labels say grey matter."""
    file = np.load(data / "labelled_brain" / "test_scan.npz")
    return nib.Nifti1Image(file["vol"].astype(np.float32), LIA_1MM), aseg.to_tissues(file["seg"]) == GREY_MATTER


def find_scans(data: Path) -> dict[tuple[str, str], Scan]:
    """Return (set, scan) → scan."""
    found = {("labelled_brain", "test_scan"): as_scan(labelled_brain(data)[0], "test_scan")}
    for name in ("ds000011", "ds002748"):
        for path in sorted((data / name).glob("sub-*/anat/*_T1w.nii.gz")):
            found[name, path.name.partition(".")[0]] = read_scan(path)
    return found


def classical_label(data: Path, atlas: Path) -> np.ndarray:
    """Return grey matter of the labelled brain by registration, bias correction and mixture model."""
    brain, _ = labelled_brain(data)
    fractions = classical_fractions(brain, read_atlas(atlas), REGISTRATION_MM)
    moved = [resample_from_to(part, brain, order=1).get_fdata(dtype=np.float32) for part in fractions]
    return most_probable(np.stack(moved)) == GREY_MATTER


def compare(label: np.ndarray, data: Path) -> pd.DataFrame:
    """Return Dice = 2 |A and B| / (|A| + |B|) of grey matter with FreeSurfer's on the labelled brain, and both volumes, mL."""
    truth = labelled_brain(data)[1]
    row = {"dice": metrics.dice(label, truth), "gm_volume_ml": label.sum() / 1000, "freesurfer_ml": truth.sum() / 1000}
    return pd.DataFrame([row])


def corrupt(scan: Scan, name: str, artefact: str, severity: float, model: Model) -> Scan:
    """Return a scan on the model's grid with one artefact over all of it; the realisation is the same at every severity."""
    spacing_mm = model.card["spacing_mm"]
    image, affine = to_model_grid(scan, spacing_mm)
    rng = rng_for(0, name, artefact)
    record = artefacts.sample_record(
        artefact, severity, tuple(image.shape), spacing_mm, rng, SETTINGS[artefact], local_probability=0.0
    )
    return as_scan(nib.Nifti1Image(artefacts.corrupt(image, [record]).numpy(), affine), name)


def copies(scan: nib.Nifti1Image) -> dict[str, nib.Nifti1Image]:
    """Return copies of a scan that hold the same head in the same place, the mirrored one but for left and right."""
    values = scan.get_fdata(dtype=np.float32)
    axes = nib.orientations.axcodes2ornt("PIR")
    mirror = np.diag([-1.0, 1, 1, 1])
    whole = np.round(values / values.max() * 4095).astype(np.int16)
    return {
        "reoriented": scan.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(scan.affine), axes)),
        "mirrored": nib.Nifti1Image(values, mirror @ scan.affine),
        "resampled": resample_to_output(scan, RESAMPLED_MM, order=1),
        "int16": nib.Nifti1Image(whole, scan.affine),
    }


def round_trip(name: str, scan: Scan, predictor: Predictor) -> list[dict]:
    """Return, for each copy of a scan, Dice of its grey matter with the scan's on the scan's grid, and both scores."""
    original = predictor(scan)
    label, rows = original.maps["gm_dseg"], []
    for copy, changed in copies(scan.file).items():
        result = predictor(as_scan(changed, name))
        back = result.maps["gm_probseg"]
        if copy == "mirrored":
            back = nib.Nifti1Image(np.asarray(back.dataobj), label.affine)
        # The probability, not the label, between the copy's voxels; exact but for the resampled one.
        back = resample_from_to(back, label, order=1)
        dice = metrics.dice(np.asarray(back.dataobj) > 0.5, np.asarray(label.dataobj) > 0)
        row = {"copy": copy, "dice": dice}
        for score in ("artefact_uncertainty", "gm_volume_ml", "predicted_dice"):
            row |= {score: result.row[score], f"{score}_original": original.row[score]}
            row[f"{score}_ratio"] = row[score] / row[f"{score}_original"]
        rows.append(row | {"decision": result.row["decision"], "decision_original": original.row["decision"]})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", type=Path, help="model folder (default: the shipped one)")
    parser.add_argument("--atlas", type=Path, default=Path("resources/heads/icbm152"))
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS, help="tables to write")
    parser.add_argument("--severities", type=float, nargs="+", default=SEVERITIES)
    arguments = parser.parse_args()
    wanted = arguments.only
    OUT.mkdir(exist_ok=True)
    if "classical" in wanted:
        label = classical_label(arguments.data, arguments.atlas)
        compare(label, arguments.data).to_csv(OUT / "classical.csv", index=False, float_format="%.4f")
    if wanted == ["classical"]:
        return
    model = open_model(arguments.model)
    predictor = Predictor(model)
    if "labelled" in wanted:
        label = predictor(as_scan(labelled_brain(arguments.data)[0], "test_scan")).maps["gm_dseg"].get_fdata() > 0
        compare(label, arguments.data).to_csv(OUT / "labelled.csv", index=False, float_format="%.4f")
    scans = find_scans(arguments.data)
    if "scans" in wanted:
        rows = [{"set": key[0], "scan": key[1], **predictor(scan).row} for key, scan in tqdm(scans.items())]
        pd.DataFrame(rows).to_csv(OUT / "scans.csv", index=False, float_format="%.6g")
    if "corrupted" in wanted:
        rows = []
        for (origin, name), scan in tqdm(scans.items()):
            for artefact in model.card["artefacts"]:
                for severity in arguments.severities:
                    about = {"set": origin, "scan": name, "artefact": artefact, "severity": severity}
                    rows.append(about | predictor(corrupt(scan, name, artefact, severity, model)).row)
            pd.DataFrame(rows).to_csv(OUT / "corrupted.csv", index=False, float_format="%.6g")
    if "round_trip" in wanted:
        rows = [
            {"set": origin, "scan": name, **row}
            for (origin, name), scan in tqdm(scans.items())
            for row in round_trip(name, scan, predictor)
        ]
        pd.DataFrame(rows).to_csv(OUT / "round_trip.csv", index=False, float_format="%.6g")


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
