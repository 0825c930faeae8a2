"""The analysis tables that a paper prints, as cells of text: leaderboard, decoupling, volumes, severity."""

import math

import pandas as pd

from decoupled_qc.analysis.volumes import WITH_ARTEFACT
from decoupled_qc.figures.style import score_label
from decoupled_qc.tables import SPREAD_COLUMN, SPREAD_NOTE, spread
from decoupled_qc.typeset import number

Parts = tuple[str, pd.DataFrame, list[str]]

CI_NOTE = "Brackets: 95 %, bootstrap of whole subjects."
ALIKE_NOTE = (
    "Where all subjects are alike there is none; where all are at an end of the scale, the exact one of so many."
)
FEW_SUBJECTS = 6
STAND_IN_NOTE = "Stand-in: scans with artefacts by foreign simulators, not real ones; their rating is not a rater's."
TRENDS = {("dice", "gm"): "1 \N{MINUS SIGN} Dice", ("artefact_uncertainty", "mean"): "artefact uncertainty"}
ALL_SCANS = {
    "decoupling_index": "decoupling index",
    "attribution_accuracy": "attribution accuracy",
    "share_inside_gain": "share inside the artefact, gain",
}


def leaderboard_parts(table: pd.DataFrame, stand_in: bool) -> Parts:
    """Return title, cells and footnotes of the leaderboard, the strongest score first.

    Args:
        table: As :func:`decoupled_qc.analysis.leaderboard.leaderboard` returns it.
        stand_in: Whether the real set is a stand-in.
    """
    sets = {"simulated": "simulated", "real": "stand-in" if stand_in else "real"}
    several, replicated = table["model"].nunique() > 1, (table["n_replicates"] > 1).any()
    rows = [
        {
            **({"network": row.model} if several else {}),
            "set": f"{sets[row.set]}, {row.target}",
            "rank": "" if pd.isna(row.rank) else str(int(row.rank)),
            "score": score_label(row.score, row.aggregation),
            "rho": _with_interval(row),
            **({SPREAD_COLUMN: spread(row)} if replicated else {}),
            "tau": number(row.tau_b, 2),
            "rho within artefact": number(row.rho_within_artefact, 2),
            "AURC": number(row.aurc, 3),
            "AUGRC": number(row.augrc, 3),
            "AUROC": number(row.auroc, 2),
            **_counts(row),
        }
        for row in table.itertuples()
    ]
    cuts = table["dice_cut"].dropna().unique()
    notes = [
        "rho: Spearman with the target; tau: Kendall's tau-b. Rank by rho in the direction of the score's meaning: those of "
        f"which more means a better scan (as SNR) should have 1, all others \N{MINUS SIGN}1. {CI_NOTE}",
        "AURC, AUGRC: area under the (generalised) risk-coverage curve, risk 1 \N{MINUS SIGN} Dice, lower is better; AUROC of "
        f"failed scans{''.join(f' (Dice below {cut:g})' for cut in cuts)}, higher is better; of simulated scans only.",
    ]
    notes += [SPREAD_NOTE] if replicated else []
    return "All scores", pd.DataFrame(rows), [*notes, STAND_IN_NOTE] if stand_in else notes


def decoupling_parts(table: pd.DataFrame) -> Parts:
    """Return title, cells and footnotes of how far each head answers to its own artefact on simulated scans.

    Args:
        table: ``decoupling.csv``, of one network.
    """
    simulated = table[table["set"] == "simulated"]
    rows = []
    for quantity, name in ALL_SCANS.items():
        found = simulated[(simulated["quantity"] == quantity) & (simulated["artefact"] == "all")]
        rows += [_decoupling_row(row, name) for row in found.itertuples()]
    own = simulated[simulated["artefact"] == simulated["head"]]
    for quantity, name in (("attribution", "named rightly"), ("leakage", "rise of its own head")):
        found = own[(own["quantity"] == quantity) & (own["artefact"] != "all")]
        rows += [_decoupling_row(row, f"{row.artefact}: {name}") for row in found.itertuples()]
    notes = [
        "decoupling index: 0 none, 1 perfect; attribution accuracy: share of scans whose artefact's head rises most, in standard "
        "deviations of clean scans; rise: the same rise, mean; share inside: share of a head's variance where its artefact "
        f"lies, less that part's share of the volume. Higher is better in all. {CI_NOTE} The clean scans' standard deviation is "
        f"drawn anew with them. {ALIKE_NOTE}",
    ]
    return "How far each variance answers to its own artefact", pd.DataFrame(rows), notes


def volumes_parts(table: pd.DataFrame) -> Parts:
    """Return title, cells and footnotes of the coverage of the volume's error bars, scans with an artefact.

    Args:
        table: As :func:`decoupled_qc.analysis.volumes.volumes` returns it, of one network.
    """
    rows = []
    for (bars, on), own in table[table["scans"] == WITH_ARTEFACT].groupby(["bars", "calibrated_on"], sort=False):
        at_level = {row.level: row for row in own.itertuples()}
        cells = {f"{level:.0%}".replace("%", " %"): number(row.coverage, 2) for level, row in at_level.items()}
        shown = at_level[0.9]
        rows.append(
            {
                "bars": bars.replace("_", " "),
                "calibrated on": on,
                **cells,
                "width at 90 % (mL)": number(shown.width_ml, 0),
                "interval score (mL)": number(shown.interval_score_ml, 0),
                **_counts(shown),
            }
        )
    notes = [
        "Share of scans whose reference volume lies in the interval of each stated level; equal to the level is best. Width and "
        "interval score (width plus 2 / (1 \N{MINUS SIGN} level) times what lies outside): lower is better. Simulated scans with "
        "an artefact: a bar above clean does not exist for a clean scan.",
        "sum var: the paper's, summed voxel variance above clean, taken for a volume; sqrt sum var: its root, as if voxels erred "
        "independently; sum sd: summed standard deviations above clean, as if all erred together; scaled, conformal: multiples "
        "of the summed variance, fitted on other subjects' scans, without a clean scan.",
    ]
    return "Error bars of the grey-matter volume", pd.DataFrame(rows), notes


def severity_parts(table: pd.DataFrame) -> Parts:
    """Return title, cells and footnotes of how Dice and artefact uncertainty follow each artefact's severity.

    Args:
        table: As :func:`decoupled_qc.analysis.severity.severity_trend` returns it, of one network.
    """
    rows = []
    for artefact, own in table.groupby("artefact", sort=False):
        found = {(row.measure, row.aggregation): row for row in own.itertuples()}
        row = next(iter(found.values()))
        shown = {name: _with_interval(found[key], "tau") for key, name in TRENDS.items() if key in found}
        rows.append({"artefact": artefact, **shown, "severities": str(row.n_severities), **_counts(row)})
    fewest = min((int(row["subjects"]) for row in rows), default=FEW_SUBJECTS)
    few = (
        [f"Only {fewest} subjects: the intervals stand on what these have in common."] if fewest < FEW_SUBJECTS else []
    )
    notes = [
        "Kendall's tau-b of severity with each, mean over subjects: 1 if it rises at every step, 0 without a trend, below 0 if "
        f"it falls. {CI_NOTE} {ALIKE_NOTE}",
        *few,
    ]
    return "How quality and uncertainty follow severity", pd.DataFrame(rows), notes


def _decoupling_row(row: tuple, name: str) -> dict[str, str]:
    return {"quantity": name, "value": _with_interval(row, "value"), **_counts(row)}


def _counts(row: tuple) -> dict[str, str]:
    return {"scans": str(row.n_scans), "subjects": str(row.n_subjects), "anatomies": str(row.n_anatomies)}


def _with_interval(row: tuple, name: str = "rho") -> str:
    """Return a value with its interval, if it has one."""
    ends = f" [{number(row.ci_low, 2)}, {number(row.ci_high, 2)}]" if math.isfinite(row.ci_low) else ""
    return number(getattr(row, name), 2) + ends
