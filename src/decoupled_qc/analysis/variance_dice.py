"""The Dice that a verdict predicts, as one more score of every scan: all variances together, in place of their sum."""

import numpy as np
import pandas as pd

from decoupled_qc.analysis import scores as tables
from decoupled_qc.analysis.expected_dice import curve, expected_dice, needed, with_variances

METRIC, AGGREGATION = "expected_dice", "all_variances"
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
    measured, heads = with_variances(scans)
    of_validation = measured["condition"] == "validation"
    test = measured[~of_validation]
    known = measured.reindex(columns=needed(heads)).notna().all(axis=1)
    fitted = measured[of_validation & known & measured["dice:gm"].notna()]
    n_subjects = fitted["subject"].nunique()
    if n_subjects < LEAST_SUBJECTS or not heads:
        note = f"nothing to fit: {n_subjects} validation subjects with Dice, {len(heads)} artefacts with a variance"
        return test.assign(value=np.nan, note=note)
    model, whole = curve(fitted, heads), known[~of_validation]
    value = pd.Series(np.nan, index=test.index)
    value[whole] = expected_dice(test[whole], model, heads)
    return test.assign(value=value, note=np.where(whole, "", "a variance, or predicted grey matter, is missing"))
