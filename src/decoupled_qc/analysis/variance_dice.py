"""The Dice that a verdict predicts, as one more score of every scan: all variances together, in place of their sum."""

import numpy as np
import pandas as pd

from decoupled_qc.analysis import scores as tables
from decoupled_qc.analysis.decoupling import heads_of, variance_of
from decoupled_qc.analysis.expected_dice import curve, expected_dice
from decoupled_qc.causes import TASK

METRIC, AGGREGATION = "expected_dice", "all_variances"
PER_GM = "artefact_uncertainty:per_gm"
LEAST_SUBJECTS = 2


def variance_dice(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the Dice that the curve of :mod:`decoupled_qc.analysis.expected_dice` predicts for every scan not fitted on.

    Fitted on the scans of the validation subjects, for each network; unlike a ridge regression on all measures it needs no
    reference mask of the scan that it is asked about.

    Args:
        scores: With the columns of :data:`decoupled_qc.analysis.scores.COLUMNS`; ``value`` float, NaN where missing.

    Returns:
        Rows with those columns and ``note``: metric ``expected_dice``; higher is better, [0, 1]. NaN with a reason where a scan
        lacks a variance or has no grey matter predicted, or nothing could be fitted.
    """
    parts = []
    for _, own in scores.groupby(["model", "replicate"], sort=True):
        column = own["metric"] + ":" + own["aggregation"]
        wide = own.assign(column=column).pivot(index="scan", columns="column", values="value")
        about = own.drop_duplicates("scan").set_index("scan")[list(tables.COLUMNS[:1] + tables.COLUMNS[2:7])]
        found = _predicted(about.join(wide)).reset_index()
        parts.append(found.assign(metric=METRIC, aggregation=AGGREGATION)[[*tables.COLUMNS, "note"]])
    return pd.concat(parts, ignore_index=True)


def _predicted(scans: pd.DataFrame) -> pd.DataFrame:
    """Return the scans of one network that were not fitted on, with ``value`` and ``note``."""
    heads = [head for head in heads_of(scans) if head != TASK]
    measured = scans.rename(columns={variance_of(head): f"uncertainty_{head}" for head in heads})
    if {tables.OURS, PER_GM} <= set(measured):  # both of the same map: their ratio is voxels per voxel of grey matter
        measured["box_per_gm"] = measured[PER_GM] / measured[tables.OURS]
    needed = [*(f"uncertainty_{head}" for head in heads), "box_per_gm"]
    measured = measured.reindex(columns=[*measured.columns.union(needed, sort=False)])
    complete = measured[needed].notna().all(axis=1)
    of_validation = measured["condition"] == "validation"
    fitted = measured[of_validation & complete & measured["dice:gm"].notna()]
    test = measured[~of_validation]
    n_subjects = fitted["subject"].nunique()
    if n_subjects < LEAST_SUBJECTS or not heads:
        note = f"nothing to fit: {n_subjects} validation subjects with Dice and {len(heads)} artefacts' variances"
        return test.assign(value=np.nan, note=note)
    model = curve(fitted, heads)
    known = complete[~of_validation]
    value = [
        expected_dice(scan, model, heads) if whole else np.nan
        for scan, whole in zip(test.to_dict("records"), known, strict=True)
    ]
    return test.assign(value=value, note=np.where(known, "", "a variance, or predicted grey matter, is missing"))
