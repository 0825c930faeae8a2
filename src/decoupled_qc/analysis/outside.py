"""Whether an artefact outside the brain alone moves the image measures, and leaves Dice and the uncertainty where they are."""

import numpy as np
import pandas as pd

from decoupled_qc.analysis import meaning
from decoupled_qc.analysis import scores as tables
from decoupled_qc.analysis.resampling import mean_interval
from decoupled_qc.seeds import rng_for

COLUMNS = (
    "model", "replicate", "where", "artefact", "measure", "aggregation", "change_sd", "ci_low", "ci_high", "median_change",
    "share_beyond_clean", "clean_sd", "n_scans", "n_subjects", "n_anatomies", "n_boot", "note",
)  # fmt: skip
OUTSIDE = "outside"


def outside_changes(scores: pd.DataFrame, subjects: pd.DataFrame, *, n_boot: int, seed: int) -> pd.DataFrame:
    """Return how far every score, and Dice, moves from clean scans, by artefact and by where the artefact lies.

    ``change_sd`` = mean over scans of (s - s of the same subject's clean scan) / sd of s over the clean scans (n - 1), s turned
    so that higher is worse (Dice: -Dice): above 0 the scan looks worse than clean, 0 if the score does not see the artefact.
    ``median_change``: median over scans of the same difference in the score's own unit and sign, so below 0 where Dice is lost.
    ``share_beyond_clean``: scans whose s lies beyond all clean scans', on either side. ``where``: ``outside``, the brain being
    the clean scan's bit for bit, and ``everywhere``, the same artefacts in the same realisations as they are simulated. With the
    former SNR, CNR and CJV in the reference's masks cannot move at all, and in the predicted ones only as the masks do.

    Args:
        scores, subjects: As for :func:`decoupled_qc.analysis.correlation.correlate`.
        n_boot: Draws of the subject bootstrap behind ``ci_low`` and ``ci_high`` (95 %); the sd is that of all clean scans.
        seed: The run's.

    Returns:
        The columns ``COLUMNS``, a row for each artefact and for ``all``; NaN with a reason in ``note`` where a number does not
        exist. ``clean_sd`` has the score's unit.
    """
    rows = []
    for names, one in tables.each_model(scores, subjects):
        clean = one[one["condition"] == "clean"]
        sets = {OUTSIDE: one["condition"] == OUTSIDE, "everywhere": one["condition"].str.startswith("sim-")}
        for where, members in sets.items():
            groups = [("all", one[members]), *one[members].groupby("artefact", sort=True)] if members.any() else []
            for artefact, scans in groups:
                for measure in ("dice:gm", *tables.score_columns(one)):
                    if measure in one:
                        rng = rng_for(seed, "outside", where, artefact, measure)
                        row = _change(scans, clean, measure, n_boot, rng)
                        rows.append({**names, "where": where, "artefact": artefact, **row})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _change(scans: pd.DataFrame, clean: pd.DataFrame, measure: str, n_boot: int, rng: np.random.Generator) -> dict:
    """Return one row but for its key."""
    reference = _worse(clean, measure).dropna()
    values = _worse(scans, measure)
    moved = (values - scans["subject"].map(reference.groupby(clean["subject"]).mean())).dropna()
    used = scans.loc[moved.index]
    notes = tables.left_out(len(used), len(scans), "a value is missing, here or of the clean scan")
    spread = float(reference.std()) if reference.nunique() > 1 else np.nan
    row = dict.fromkeys(("change_sd", "ci_low", "ci_high", "median_change", "share_beyond_clean"), np.nan)
    if used.empty or np.isnan(spread):
        notes.append("no value: no scan" if used.empty else "no value: fewer than two clean scans, or all alike")
    else:
        beyond = (values[used.index] < reference.min()) | (values[used.index] > reference.max())
        change = moved.to_numpy() / spread
        row |= {"change_sd": float(change.mean()), "share_beyond_clean": float(beyond.mean())}
        own = clean.groupby("subject")[measure].mean()
        row["median_change"] = float((used[measure] - used["subject"].map(own)).median())
        row["ci_low"], row["ci_high"], note = mean_interval(change, used["subject"].to_numpy(), n_boot, rng)
        notes += [note] if note else []
    name, aggregation = measure.split(":", 1)
    fixed = {"clean_sd": spread, **tables.counted(used), "n_boot": n_boot, "note": "; ".join(notes)}
    return {"measure": name, "aggregation": aggregation, **row, **fixed}


def _worse(scans: pd.DataFrame, measure: str) -> pd.Series:
    """Return a measure by scan, turned so that higher is worse."""
    values = -scans[measure] if measure == "dice:gm" else meaning.distrust(scans, measure)
    return pd.Series(values, scans.index)
