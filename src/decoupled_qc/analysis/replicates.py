"""How far a correlation moves from one training to the next, which the bootstrap over subjects cannot see."""

import numpy as np
import pandas as pd

from decoupled_qc.analysis import scores as tables
from decoupled_qc.analysis.correlation import scan_sets
from decoupled_qc.analysis.resampling import spearman

KEY = ["model", "set", "target", "score", "aggregation"]
COLUMNS = [*KEY, "n_replicates", "rho_mean", "rho_seed_sd", "rho_lowest", "rho_highest", "note"]


def replicates(scores: pd.DataFrame, subjects: pd.DataFrame) -> pd.DataFrame:
    """Return mean, standard deviation (n - 1) and range of each rho over trainings that differ in their seed alone.

    Args:
        scores, subjects: As for :func:`decoupled_qc.analysis.correlation.correlate`, of several replicates of a network.

    Returns:
        The columns ``COLUMNS``, for the sets of :func:`decoupled_qc.analysis.correlation.scan_sets`. ``rho_seed_sd`` is NaN
        with a reason in ``note`` where fewer than two trainings have a rho.
    """
    rows = []
    for names, one in tables.each_model(scores, subjects):
        for set_name, scans, target in scan_sets(one):
            for score in tables.score_columns(one):
                complete = scans.dropna(subset=[target, score])
                rho = spearman(complete[score], complete[target]) if len(complete) else np.nan
                metric, aggregation = score.split(":", 1)
                found = (names["model"], set_name, target.split(":")[0], metric, aggregation)
                rows.append((*found, rho))
    table = pd.DataFrame(rows, columns=[*KEY, "rho"])
    found = table.groupby(KEY, sort=False)["rho"].agg(["count", "mean", "std", "min", "max"]).reset_index()
    found.columns = COLUMNS[:-1]
    few = found["n_replicates"] < 2
    return found.assign(note=np.where(few, "no spread: fewer than two trainings with a rho", ""))[COLUMNS]
