"""How far a correlation moves from one training to the next, which the bootstrap over subjects cannot see."""

import numpy as np
import pandas as pd

from decoupled_qc.analysis import scores as tables
from decoupled_qc.analysis.correlation import MIN_SCANS, scan_sets
from decoupled_qc.analysis.resampling import spearman

KEY = ["model", "set", "target", "score", "aggregation"]
RHO = {"n_replicates": "count", "rho_mean": "mean", "rho_seed_sd": "std", "rho_lowest": "min", "rho_highest": "max"}
COUNTS = ["n_scans", "n_subjects", "n_anatomies"]
COLUMNS = [*KEY, *RHO, *COUNTS, "note"]


def replicates(scores: pd.DataFrame, subjects: pd.DataFrame) -> pd.DataFrame:
    """Return mean, standard deviation (n - 1) and range of each rho over trainings that differ in their seed alone.

    Args:
        scores, subjects: As for :func:`decoupled_qc.analysis.correlation.correlate`, of several replicates of a network.

    Returns:
        The columns ``COLUMNS``, for the sets of :func:`decoupled_qc.analysis.correlation.scan_sets`. ``rho_seed_sd`` is NaN
        with a reason in ``note`` where fewer than two trainings have a rho. The counts are those behind each rho, of the
        training with the fewest where trainings differ.
    """
    rows = []
    for names, one in tables.each_model(scores, subjects):
        for set_name, scans, target in scan_sets(one):
            for score in tables.score_columns(one):
                complete = scans.dropna(subset=[target, score])
                rho = spearman(complete[score], complete[target]) if len(complete) >= MIN_SCANS else np.nan
                metric, aggregation = score.split(":", 1)
                found = {"target": target.split(":")[0], "score": metric, "aggregation": aggregation, "rho": rho}
                rows.append({"model": names["model"], "set": set_name, **found, **tables.counted(complete)})
    table = pd.DataFrame(rows, columns=[*KEY, "rho", *COUNTS])
    spread = {name: ("rho", statistic) for name, statistic in RHO.items()}
    found = table.groupby(KEY, sort=False).agg(**spread, **{name: (name, "min") for name in COUNTS}).reset_index()
    few = found["n_replicates"] < 2
    return found.assign(note=np.where(few, "no spread: fewer than two trainings with a rho", ""))[COLUMNS]
