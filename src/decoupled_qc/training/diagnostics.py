"""Is a trained network alive? One row per input: does each variance answer to its own artefact?"""

from collections.abc import Sequence

import pandas as pd
import torch
from torch.nn import functional as F

from decoupled_qc.causes import CLEAN
from decoupled_qc.evaluation.metrics import dice
from decoupled_qc.inference import predict
from decoupled_qc.network import DecoupledUNet
from decoupled_qc.training.held_out import damaged
from decoupled_qc.training.sampling import Case, Corruption


def diagnose(
    network: DecoupledUNet,
    cases: Sequence[Case],
    corruption: Corruption,
    *,
    epsilon: float,
    severity: float,
    seed: int,
    inference: dict,
) -> pd.DataFrame:
    """Return what a network says of validation scans, clean and with each artefact, averaged over the scans.

    The task variance of a trained network is about twice its cross-entropy on clean input (the likelihood's minimiser
    is 2 CE - epsilon), and a teacher whose own variance is no larger on its artefact than on clean input is not
    trained.

    Args:
        network: In evaluation mode.
        cases: Validation subjects.
        corruption: Artefacts to apply, one at a time, and their settings.
        epsilon: The network's last.
        severity: Of every artefact, (0, 1].
        seed: The run's.
        inference: Keyword arguments of :func:`decoupled_qc.inference.predict`.

    Returns:
        Columns ``input`` (clean or an artefact), ``n_scans``, ``dice``, ``twice_cross_entropy``, ``variance_<cause>``.
    """
    rows = []
    for name in (CLEAN, *corruption.names, *corruption.others):
        for case in cases:
            image = damaged(case, name, corruption, severity, seed)
            found = predict(network, image, epsilon=epsilon, **inference)
            label = case.label.cpu()  # as the maps are
            signed = torch.where(label.bool(), found.log_odds, -found.log_odds)
            rows.append(
                {
                    "input": name,
                    "dice": dice(found.label.numpy(), label.numpy()),
                    "twice_cross_entropy": 2 * float(F.softplus(-signed).mean()),
                    **{f"variance_{cause}": float(value.mean()) for cause, value in found.variance.items()},
                }
            )
    table = pd.DataFrame(rows).groupby("input", sort=False).mean().reset_index()
    table.insert(1, "n_scans", len(cases))
    return table
