"""A model folder of a small network with random weights, and a reference of made-up validation scans."""

import json

import numpy as np
import pandas as pd
import torch

from decoupled_qc.apply.reference import summarise
from decoupled_qc.apply.reference_checks import FORMAT
from decoupled_qc.files import sha256_of
from decoupled_qc.models import save_model
from decoupled_qc.network import DecoupledUNet

ARTEFACTS = ["noise", "blur"]
BANDS = [0.0, 0.5, 1.0]
SHAPE = {
    "causes": ["task", *ARTEFACTS],
    "channels": [4, 8],
    "head_channels": 2,
    "presence": True,
    "start_log_variance": {"task": -2.0, "artefact": -4.0},
}


def measured_scans(n_subjects=12):
    """Return validation scans whose Dice falls and whose own head rises with severity."""
    rng = np.random.default_rng(0)
    rows = []
    for subject in range(n_subjects):
        for artefact in ["none", *ARTEFACTS]:
            for severity in [0.0] if artefact == "none" else [0.25, 0.75]:
                rise = {
                    name: np.exp(0.1 * rng.normal() + (3 * severity if name == artefact else 0)) for name in ARTEFACTS
                }
                own = {f"uncertainty_{name}": 0.02 * value for name, value in rise.items()}
                total = sum(own.values())
                rows.append(
                    {
                        **{
                            "subject": f"sub-{subject}",
                            "anatomy": f"a{subject % 3}",
                            "artefact": artefact,
                            "severity": severity,
                        },
                        **{"dice:gm": 0.9 - 0.5 * severity + 0.01 * rng.normal(), "error_ml": 20 * rng.normal(), **own},
                        **{"artefact_uncertainty": total, "task_uncertainty": 0.1, "box_per_gm": 8.0},
                        **{"gm_volume_ml": 600 + 50 * rng.normal(), "volume_scale_ml": 40.0, "snr": 6.0, "cnr": 2.0},
                        **{"head_ml": 3000.0, "head_level": 0.4, "head_spread": 0.2, "grey_level": 0.5},
                        "edge_share": 0.0,
                    }
                )
    return pd.DataFrame(rows)


def write_tiny_model(folder, spacing_mm=4.0):
    """Write the folder and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = DecoupledUNet(**SHAPE)
    save_model(folder, network, {"network": SHAPE, "epsilon": 0.05})
    sha256 = sha256_of(folder / "weights.safetensors")
    card = {
        **{
            "format": FORMAT,
            "artefacts": ARTEFACTS,
            "sha256": sha256,
            "spacing_mm": spacing_mm,
            "epsilon": 0.05,
            "network": SHAPE,
        },
        "inference": {"patch_size": 16, "overlap": 0.25, "batch_size": 4, "precision": "float32", "mirror": False},
    }
    (folder / "model.json").write_text(json.dumps(card))
    found = summarise(measured_scans(), ARTEFACTS, BANDS, target_dice=0.75, error_rate=0.1)
    (folder / "reference.json").write_text(json.dumps({**found, "sha256": sha256}))
    return folder
