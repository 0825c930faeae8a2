"""`decoupled-qc predict` on heads of a few voxels."""

import nibabel as nib
import numpy as np
import pandas as pd
from phantom import head

from decoupled_qc.apply import predictor
from decoupled_qc.cli import main

MM = 4.0
OBLIQUE = nib.affines.from_matvec(
    nib.eulerangles.euler2mat(0.1, -0.2, 0.3) @ np.diag([-MM, MM, MM]), [12.0, -34.0, 56.0]
)


def write(path, values, affine=OBLIQUE):
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = nib.MGHImage if path.suffix == ".mgz" else nib.Nifti1Image
    nib.save(kind(values, affine), path)
    return path


def volume():
    return head().numpy() * 1000


def predict(out, model, *inputs, more=("--no-pages",)):
    """Return the exit code and the table by scan."""
    code = main(["predict", *map(str, inputs), "-o", str(out), "--model", str(model), *more])
    return code, pd.read_csv(out / "predictions.csv", keep_default_na=False).set_index("scan")


def count_scans(monkeypatch):
    """Return a list that grows with each scan that goes through the network."""
    calls, plain = [], predictor.infer

    def spy(network, image, **settings):
        calls.append(image.shape)
        return plain(network, image, **settings)

    monkeypatch.setattr(predictor, "infer", spy)
    return calls
