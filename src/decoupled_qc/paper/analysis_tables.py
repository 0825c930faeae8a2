"""The analysis tables that a paper prints: the rows of each that it shows, and the same as cells of text."""

import pandas as pd

from decoupled_qc.analysis.correlation import SIMPSON, TELLS_KINDS_APART
from decoupled_qc.analysis.scores import TARGET_OF
from decoupled_qc.analysis.volumes import WITH_ARTEFACT
from decoupled_qc.figures.style import score_label
from decoupled_qc.paper.tables import SPREAD_COLUMN, SPREAD_NOTE, p_value, spread
from decoupled_qc.paper.typeset import number, with_interval

Parts = tuple[pd.DataFrame, str, pd.DataFrame, list[str]]  # the rows shown, title, the same as cells, footnotes

CI_NOTE = "Brackets: 95 %, bootstrap of whole subjects."
ALIKE_NOTE = (
    "Where all subjects are alike there is none; where all are at an end of the scale, the exact one of so many."
)
FEW_SUBJECTS = 6
STAND_IN_NOTE = "Stand-in: scans with artefacts by foreign simulators, not real ones; their rating is not a rater's."
TRENDS = {("dice", "gm"): "1 \N{MINUS SIGN} Dice", ("artefact_uncertainty", "mean"): "artefact uncertainty"}
# (set, quantity, of all artefacts or each): what a row is called, after its artefact if of each.
DECOUPLING = {
    ("simulated", "decoupling_index", "all"): "decoupling index",
    ("matched", "decoupling_index", "all"): "decoupling index at equal severities",
    ("simulated", "attribution_accuracy", "all"): "attribution accuracy",
    ("matched", "attribution_accuracy", "all"): "attribution accuracy at equal severities",
    ("simulated", "share_inside_gain", "all"): "share inside the artefact, gain",
    ("mixtures", "additivity_slope", "all"): "mixtures: slope on the sum of their parts",
    ("mixtures", "additivity_slope", "each"): "slope",
    ("simulated", "attribution", "own"): "named rightly",
    ("simulated", "leakage", "own"): "rise of its own head",
}
RISKS = {
    "aurc": "AURC",
    "augrc": "AUGRC",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "fpr_at_95_tpr": "FPR at 95 % TPR",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
}


def leaderboard_parts(table: pd.DataFrame, stand_in: bool) -> Parts:
    """Return the leaderboard, the strongest score first.

    Args:
        table: As :func:`decoupled_qc.analysis.leaderboard.leaderboard` returns it.
        stand_in: Whether the real set is a stand-in.
    """
    several, replicated = table["model"].nunique() > 1, (table["n_replicates"] > 1).any()
    rows = [
        {
            **({"network": row.model} if several else {}),
            "set": _set_name(row, stand_in),
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
    apart = table[table["note"].astype(str).str.contains(TELLS_KINDS_APART)]
    if len(apart):
        names = dict.fromkeys(score_label(row.score, row.aggregation) for row in apart.itertuples())
        notes.append(
            "Mainly telling artefacts apart, |rho| over all scans with an artefact exceeding that within artefacts by more than "
            f"{SIMPSON}: {', '.join(names)}."
        )
    notes += [SPREAD_NOTE] if replicated else []
    return table, "All scores", pd.DataFrame(rows), [*notes, STAND_IN_NOTE] if stand_in else notes


def difference_parts(table: pd.DataFrame, stand_in: bool) -> Parts:
    """Return how much stronger the artefact uncertainty's correlation is than each other score's.

    Args:
        table: As :func:`decoupled_qc.analysis.difference.difference` returns it, of one network.
        stand_in: Whether the real set is a stand-in.
    """
    table = table[table["target"] == table["set"].map(TARGET_OF)]
    rows = [
        {
            "set": _set_name(row, stand_in),
            "other score": score_label(row.baseline, row.baseline_aggregation),
            "gain in rho": with_interval(row.difference, row.ci_low, row.ci_high, 3),
            "p": p_value(row.p),
            "p (Holm)": p_value(row.p_holm),
            **_counts(row),
        }
        for row in table.itertuples()
    ]
    notes = [
        "rho of the artefact uncertainty (eq. 9) less that of the other score, on the same scans, each turned to the direction "
        "of its meaning, so that 1 is best for both; above 0 favours the artefact uncertainty. p: by the same bootstrap as the "
        f"interval, two-sided; p (Holm): corrected for all other scores of the set. {CI_NOTE}"
    ]
    title = "Artefact uncertainty against every other score"
    return table, title, pd.DataFrame(rows), [*notes, STAND_IN_NOTE] if stand_in else notes


def risk_coverage_parts(table: pd.DataFrame, dice_cut: float) -> Parts:
    """Return what trusting each score is worth, the lowest AURC first, and how well it finds scans below one Dice cut.

    Args:
        table: ``risk_coverage.csv``, of one network.
        dice_cut: The one to show.
    """
    table = table[
        table["measure"].isin(RISKS) & (table["dice_cut"].isna() | (table["dice_cut"] - dice_cut).abs().lt(1e-9))
    ]
    areas = table[table["measure"] == "aurc"].sort_values("value", kind="stable")
    by_score = dict(list(table.groupby(["score", "aggregation"])))
    rows = []
    for area in areas.itertuples():
        own = {row.measure: row for row in by_score[area.score, area.aggregation].itertuples()}
        shown = {
            name: with_interval(own[key].value, own[key].ci_low, own[key].ci_high, 3 if key in ("aurc", "augrc") else 2)
            for key, name in RISKS.items()
            if key in own
        }
        rows.append({"score": score_label(area.score, area.aggregation), **shown, **_counts(area)})
    notes = [
        "AURC, AUGRC: area under the (generalised) risk-coverage curve, risk 1 \N{MINUS SIGN} Dice, lower is better; AUROC, "
        f"AUPRC, and false alarms where 95 % are found (FPR at 95 % TPR), of scans with Dice below {dice_cut:g}; sensitivity and "
        "specificity for them at the threshold that finds 95 % of the validation subjects' failed scans. Simulated scans. "
        f"{CI_NOTE}"
    ]
    bounds = [
        f"{RISKS[row.measure]} {number(row.oracle, 3)} and {number(row.random, 3)}"
        for row in table.drop_duplicates("measure").dropna(subset=["oracle", "random"]).itertuples()
    ]
    notes += [f"An oracle and a random score would have: {', '.join(bounds)}."] if bounds else []
    return table, "What trusting each score is worth", pd.DataFrame(rows).fillna("NA"), notes


def decoupling_parts(table: pd.DataFrame) -> Parts:
    """Return how far each head answers to its own artefact.

    Args:
        table: ``decoupling.csv``, of one network.
    """
    of_all = table["artefact"] == "all"
    of = {"all": of_all, "each": ~of_all, "own": ~of_all & (table["artefact"] == table["head"])}
    found = [
        table[(table["set"] == set_name) & (table["quantity"] == quantity) & of[which]]
        for set_name, quantity, which in DECOUPLING
    ]
    rows = [
        {
            "quantity": name if row.artefact == "all" else f"{row.artefact}: {name}",
            "value": _with_interval(row, "value"),
            **_counts(row),
        }
        for shown, name in zip(found, DECOUPLING.values(), strict=True)
        for row in shown.itertuples()
    ]
    notes = [
        "decoupling index: 0 none, 1 perfect; attribution accuracy: share of scans whose artefact's head rises most, in standard "
        "deviations of clean scans; rise: the same rise, mean; share inside: share of a head's variance where its artefact "
        f"lies, less that part's share of the volume. Higher is better in these. {CI_NOTE} The clean scans' standard deviation "
        f"is drawn anew with them. {ALIKE_NOTE}",
    ]
    if any(len(shown) for shown, key in zip(found, DECOUPLING, strict=True) if key[0] == "matched"):
        notes.append(
            "At equal severities: of the sweeps, in which all artefacts have the same; unequal ones look like leakage."
        )
    if any(len(shown) for shown, key in zip(found, DECOUPLING, strict=True) if key[0] == "mixtures"):
        notes.append(
            "slope: of the uncertainty of mixed artefacts on the sum of what each brings alone; 1 if variances add, below 1 if a "
            "mixture is taken for less than its parts."
        )
    return pd.concat(found), "How far each variance answers to its own artefact", pd.DataFrame(rows), notes


def volumes_parts(table: pd.DataFrame) -> Parts:
    """Return the coverage of the volume's error bars, scans with an artefact.

    Args:
        table: As :func:`decoupled_qc.analysis.volumes.volumes` returns it, of one network.
    """
    table, rows = table[table["scans"] == WITH_ARTEFACT], []
    for (bars, on), own in table.groupby(["bars", "calibrated_on"], sort=False):
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
    return table, "Error bars of the grey-matter volume", pd.DataFrame(rows), notes


def severity_parts(table: pd.DataFrame) -> Parts:
    """Return how Dice and artefact uncertainty follow each artefact's severity.

    Args:
        table: As :func:`decoupled_qc.analysis.severity.severity_trend` returns it, of one network.
    """
    table, rows = table[[key in TRENDS for key in zip(table["measure"], table["aggregation"], strict=True)]], []
    for artefact, own in table.groupby("artefact", sort=False):
        found = {(row.measure, row.aggregation): row for row in own.itertuples()}
        row = next(iter(found.values()))
        shown = {name: _with_interval(found[key], "tau") for key, name in TRENDS.items() if key in found}
        rows.append({"artefact": artefact, **shown, "severities": str(row.n_severities), **_counts(row)})
    fewest = table["n_subjects"].min()
    notes = [
        "Kendall's tau-b of severity with each, mean over subjects: 1 if it rises at every step, 0 without a trend, below 0 if "
        f"it falls. {CI_NOTE} {ALIKE_NOTE}",
    ]
    if fewest < FEW_SUBJECTS:
        notes.append(f"Only {fewest} subjects: the intervals stand on what these have in common.")
    return table, "How quality and uncertainty follow severity", pd.DataFrame(rows), notes


def _set_name(row: tuple, stand_in: bool) -> str:
    """Return a set of scans and its target."""
    return f"{'stand-in' if stand_in and row.set == 'real' else row.set}, {row.target}"


def _counts(row: tuple) -> dict[str, str]:
    return {"scans": str(row.n_scans), "subjects": str(row.n_subjects), "anatomies": str(row.n_anatomies)}


def _with_interval(row: tuple, name: str = "rho") -> str:
    return with_interval(getattr(row, name), row.ci_low, row.ci_high, 2)
