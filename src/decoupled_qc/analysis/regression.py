"""Dice predicted by ridge regression on many measures at once, the strongest use that a few labelled scans allow."""

import numpy as np
import pandas as pd
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import LeaveOneGroupOut
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from decoupled_qc.analysis import meaning
from decoupled_qc.analysis import scores as tables

METRIC = "ridge_dice"
SETS = ("all_measures", "image_measures")
PENALTIES = np.logspace(-2, 4, 13)
MIN_SUBJECTS = 2


def ridge_dice(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the Dice that a ridge regression predicts for every scan but those that it was fitted on.

    Fitted on the scans of the validation subjects, for each network. Measures enter standardised and, where they are above 0
    on all those scans, as logarithms, since most are ratios or variances. The penalty is the one of 13 that predicts left-out
    validation subjects best. Two sets of measures: ``all_measures``, and ``image_measures``, which need no network but for the
    masks of some. A measure that is missing, or the same, on the validation scans is left out.

    Args:
        scores: With the columns of :data:`decoupled_qc.analysis.scores.COLUMNS`; ``value`` float, NaN where missing.

    Returns:
        Rows with those columns and ``note``: metric ``ridge_dice``, an aggregation for each set of measures; higher is better,
        [0, 1]. NaN with a reason where a scan lacks a measure that was fitted, or nothing could be fitted.
    """
    parts = []
    for scans in tables.each_network(scores):
        scans = scans.sort_index()  # so that sums round alike in whatever order the table is
        for name in SETS:
            names = [column for column in tables.score_columns(scans) if name == SETS[0] or meaning.of_image(column)]
            found = _predicted(scans, names)
            found = scans.join(found, how="right").reset_index().assign(metric=METRIC, aggregation=name)
            parts.append(found[[*tables.COLUMNS, "note"]])
    return pd.concat(parts, ignore_index=True)


def _predicted(wide: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Return ``value`` and ``note`` of the scans that were not fitted on."""
    fitted_on, subjects = wide["condition"].eq("validation").to_numpy(), wide["subject"].to_numpy()
    usable = fitted_on & wide["dice:gm"].notna().to_numpy()
    names = [name for name in names if wide.loc[usable, name].notna().all() and wide.loc[usable, name].nunique() > 1]
    test = wide[~fitted_on]
    n_subjects = len(np.unique(subjects[usable]))
    if n_subjects < MIN_SUBJECTS or not names:
        reason = f"nothing to fit: {n_subjects} validation subjects with Dice, {len(names)} measures known on all their scans"
        return pd.DataFrame({"value": np.nan, "note": reason}, index=test.index)
    positive = [name for name in names if (wide.loc[usable, name] > 0).all()]
    logs = wide[names].assign(**{name: np.log(wide[name].where(wide[name] > 0)) for name in positive})
    folds = list(LeaveOneGroupOut().split(logs[usable], groups=subjects[usable]))
    model = make_pipeline(StandardScaler(), RidgeCV(PENALTIES, cv=folds, scoring="neg_mean_squared_error"))
    model.fit(logs[usable].to_numpy(), wide.loc[usable, "dice:gm"].to_numpy())
    complete = logs[~fitted_on].notna().all(axis=1)
    value = pd.Series(np.nan, index=test.index)
    if complete.any():
        value[complete] = model.predict(logs.loc[test.index[complete]].to_numpy()).clip(0, 1)
    lacks = logs[~fitted_on].isna().apply(lambda row: "lacks " + ", ".join(row.index[row]) if row.any() else "", axis=1)
    return pd.DataFrame({"value": value, "note": lacks})
