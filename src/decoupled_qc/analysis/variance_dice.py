"""The Dice that a verdict predicts, as one more score of every scan: all variances together, in place of their sum."""

import numpy as np
import pandas as pd

from decoupled_qc.analysis import scores as tables
from decoupled_qc.analysis.expected_dice import curve, expected_dice, needed, with_variances
from decoupled_qc.analysis.regression import MIN_SUBJECTS

METRIC, AGGREGATION = "expected_dice", "all_variances"


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
    parts = [_predicted(scans).reset_index() for scans in tables.each_network(scores)]
    found = pd.concat(parts, ignore_index=True)
    return found.assign(metric=METRIC, aggregation=AGGREGATION)[[*tables.COLUMNS, "note"]]


def _predicted(scans: pd.DataFrame) -> pd.DataFrame:
    """Return the scans of one network that were not fitted on, with ``value`` and ``note``."""
    measured, heads = with_variances(scans)
    of_validation = measured["condition"] == "validation"
    test = measured[~of_validation]
    known = measured.reindex(columns=needed(heads)).notna().all(axis=1)
    fitted = measured[of_validation & known & measured["dice:gm"].notna()]
    n_subjects = fitted["subject"].nunique()
    if n_subjects < MIN_SUBJECTS or not heads:
        note = f"nothing to fit: {n_subjects} validation subjects with Dice, {len(heads)} artefacts with a variance"
        return test.assign(value=np.nan, note=note)
    model, whole = curve(fitted, heads), known[~of_validation]
    value = pd.Series(np.nan, index=test.index)
    value[whole] = expected_dice(test[whole], model, heads)
    return test.assign(value=value, note=np.where(whole, "", "a variance, or predicted grey matter, is missing"))
