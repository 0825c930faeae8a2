"""One row per score: how well it ranks scans, and how well it sorts the failed ones out."""

import numpy as np
import pandas as pd

from decoupled_qc.analysis import rank_ranges
from decoupled_qc.analysis.correlation import TELLS_KINDS_APART
from decoupled_qc.analysis.meaning import strength
from decoupled_qc.analysis.scores import TARGET_OF

KEY = ["model", "replicate", "set", "score", "aggregation"]
COLUMNS = [
    *KEY[:3],
    "target",
    "rank",
    "rank_low",
    "rank_high",
    "share_first",
    *KEY[3:],
    "rho",
    "ci_low",
    "ci_high",
    "rho_seed_sd",
    "n_replicates",
]
COLUMNS += ["tau_b", "rho_within_artefact"]
COLUMNS += ["aurc", "e_aurc", "augrc", "dice_cut", "auroc", "n_scans", "n_subjects", "n_anatomies", "note"]


def leaderboard(
    correlation: pd.DataFrame, risk: pd.DataFrame, replicates: pd.DataFrame, ranges: pd.DataFrame, *, dice_cut: float
) -> pd.DataFrame:
    """Return all scores of each network and set, the strongest first; scores without a rho last and without a rank.

    The rank is by rho, turned to the direction that a score's meaning gives it, as the AURC and AUROC are; ``note`` says where
    rho has the other sign, and why a number is missing.

    Args:
        correlation: As :func:`decoupled_qc.analysis.correlation.correlate` returns it.
        risk: As :func:`decoupled_qc.analysis.risk_coverage.risk_coverage` returns it; simulated scans only.
        replicates: As :func:`decoupled_qc.analysis.replicates.replicates` returns it: the spread of rho between trainings,
            which stands beside its interval, that of scans.
        ranges: As :func:`decoupled_qc.analysis.rank_ranges.rank_ranges` returns it.
        dice_cut: The one whose AUROC is shown.

    Returns:
        The columns ``COLUMNS``.
    """
    wide = risk[risk["measure"].isin(["aurc", "e_aurc", "augrc"])].pivot(index=KEY, columns="measure", values="value")
    at_cut = risk[(risk["measure"] == "auroc") & np.isclose(risk["dice_cut"], dice_cut)].set_index(KEY)
    at_cut["no_auroc"] = at_cut["note"].where(at_cut["value"].isna(), "")
    wide = wide.join(at_cut[["dice_cut", "value", "no_auroc"]].rename(columns={"value": "auroc"})).reset_index()
    within = correlation[correlation["set"] == "simulated_within_artefact"].assign(set="simulated")
    within = within[[*KEY, "rho", "note"]].rename(columns={"rho": "rho_within_artefact", "note": "within"})
    sets = [correlation[(correlation["set"] == name) & (correlation["target"] == of)] for name, of in TARGET_OF.items()]
    rows = pd.concat(sets)
    rows = rows.merge(within, on=KEY, how="left").merge(wide, on=KEY, how="left")
    seeds = replicates[["model", "set", "target", "score", "aggregation", "rho_seed_sd", "n_replicates"]]
    rows = rows.merge(seeds, how="left").fillna({"n_replicates": 0}).astype({"n_replicates": int})
    ranges = ranges[[*rank_ranges.KEY, "rank_low", "rank_high", "share_first"]]
    rows = rows.merge(ranges, on=list(rank_ranges.KEY), how="left")
    rows = rows.astype({"rank_low": "Int64", "rank_high": "Int64"})
    rows["strength"] = strength(rows)
    rows["note"] = [_note(row) for row in rows.itertuples()]
    rows["rank"] = rows.groupby(KEY[:3])["strength"].rank(ascending=False, method="min").astype("Int64")
    order = rows.assign(first=rows["set"] != "simulated")
    order = order.sort_values([*KEY[:2], "first", "strength", "score"], ascending=[True, True, True, False, True])
    return order[COLUMNS].reset_index(drop=True)


def _note(row: tuple) -> str:
    """Return the correlation's note, whether rho has the other sign, and why a number is missing."""
    notes = [row.note] if isinstance(row.note, str) and row.note else []
    if row.strength < 0:
        notes.append("rho has the sign opposite to the score's meaning")
    notes += [part for part in str(row.within).split("; ") if TELLS_KINDS_APART in part]
    if row.n_replicates < 2:
        notes.append("no spread between trainings: one" if row.n_replicates else "spread not computed over trainings")
    if row.set != "simulated":
        notes.append("risk-coverage and rho within artefacts are of simulated scans only")
    elif row.no_auroc and isinstance(row.no_auroc, str):
        notes.append(f"no AUROC: {row.no_auroc}")
    return "; ".join(notes)
