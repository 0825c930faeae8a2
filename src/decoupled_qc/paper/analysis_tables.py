"""The analysis tables that a paper prints: the rows of each that it shows, and the same as cells of text."""

import pandas as pd

from decoupled_qc.analysis.correlation import SIMPSON, TELLS_KINDS_APART
from decoupled_qc.analysis.resampling import FEW_SUBJECTS
from decoupled_qc.analysis.scores import TARGET_OF
from decoupled_qc.analysis.volumes import WITH_ARTEFACT
from decoupled_qc.paper.tables import SPREAD_COLUMN, SPREAD_NOTE, p_value, spread
from decoupled_qc.paper.typeset import number, score_label, with_interval

Parts = tuple[pd.DataFrame, str, pd.DataFrame, list[str]]  # the rows shown, title, the same as cells, footnotes

CI_NOTE = "Brackets: 95 %, bootstrap of whole subjects."
BOUNDED_NOTE = (
    f"A share or a tau has an interval from {FEW_SUBJECTS} subjects on. At the end of its scale the interval reaches at least as "
    "far as the exact one (Clopper-Pearson) of so many subjects, since subjects that are all alike prove nothing of others. Any "
    "other number that is the same in every draw of subjects has none."
)
FEWER = " *"  # behind a score known on fewer scans than others
STAND_IN_NOTE = "Stand-in: scans with artefacts by foreign simulators, not real ones; their rating is not a rater's."
TRENDS = {("dice", "gm"): "1 \N{MINUS SIGN} Dice", ("artefact_uncertainty", "mean"): "artefact uncertainty"}
# (set, quantity, of all artefacts or each): what a row is called, after its artefact if of each.
DECOUPLING = {
    ("simulated", "decoupling_index", "all"): "decoupling index (0 to 1)",
    ("matched", "decoupling_index", "all"): "decoupling index at equal severities (0 to 1)",
    ("simulated", "attribution_accuracy", "all"): "attribution accuracy (share of scans)",
    ("matched", "attribution_accuracy", "all"): "attribution accuracy at equal severities (share of scans)",
    ("simulated", "naming_accuracy", "all"): "naming accuracy (share of scans)",
    ("simulated", "naming_accuracy_if_forced", "all"): "naming accuracy where none is no answer (share of scans)",
    ("simulated", "share_inside_gain", "all"): "gain of variance inside the artefact (share of variance)",
    ("mixtures", "additivity_slope", "all"): "mixtures: slope on the sum of their parts (ratio)",
    ("mixtures", "additivity_slope", "each"): "slope (ratio)",
    ("simulated", "attribution", "own"): "its own head rises most (share of scans)",
    ("simulated", "named", "own"): "named by a verdict (share of scans)",
    ("simulated", "leakage", "own"): "rise of its own head (SD of clean scans)",
}
OF_SETS = {  # (score, aggregation) of Table 1 → column
    ("artefact_uncertainty", "mean"): "artefact uncertainty",
    ("snr", "reference"): "SNR",
    ("cnr", "reference"): "CNR",
    ("entropy", "mean"): "entropy",
}
SEGMENTATION = {  # measure → column, decimals
    "dice": ("Dice", 2),
    "surface_dice": ("surface Dice", 2),
    "hausdorff_95_mm": ("HD95 (mm)", 1),
    "volume_bias_percent": ("bias (%)", 0),
    "calibration_error": ("ECE", 3),
    "brier": ("Brier", 3),
    "log_loss_nats": ("log loss (nats)", 2),
    "error_overlap": ("overlap", 2),
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
    fewer = table["n_scans"] < table.groupby(["model", "set"])["n_scans"].transform("max")
    rows = [
        {
            **({"network": row.model} if several else {}),
            "set": _set_name(row, stand_in),
            "rank": _rank(row),
            "score": score_label(row.score, row.aggregation) + (FEWER if fewer[row.Index] else ""),
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
        f"which more means a better scan (as SNR) should have 1, all others \N{MINUS SIGN}1. {CI_NOTE} Those of a "
        "rank: where scores that are all ranked anew in each draw come to lie.",
        "AURC, AUGRC: area under the (generalised) risk-coverage curve, risk 1 \N{MINUS SIGN} Dice, lower is better; AUROC of "
        f"failed scans{''.join(f' (Dice below {cut:g})' for cut in cuts)}, higher is better; of simulated scans only.",
    ]
    notes += (
        [f"{FEWER.strip()}: on fewer scans than others of its set, so not quite comparable."] if fewer.any() else []
    )
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
    """Return how much stronger the artefact uncertainty's correlation is than each other score's, the largest gain first.

    Args:
        table: As :func:`decoupled_qc.analysis.difference.difference` returns it, of one network.
        stand_in: Whether the real set is a stand-in.
    """
    table = table[table["target"] == table["set"].map(TARGET_OF)]
    table = table.assign(first=table["set"] != "simulated")
    table = table.sort_values(["first", "difference"], ascending=[True, False], kind="stable").drop(columns="first")
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
    rows, most = [], areas["n_scans"].max()
    for area in areas.itertuples():
        own = {row.measure: row for row in by_score[area.score, area.aggregation].itertuples()}
        shown = {
            name: with_interval(own[key].value, own[key].ci_low, own[key].ci_high, 3 if key in ("aurc", "augrc") else 2)
            for key, name in RISKS.items()
            if key in own
        }
        name = score_label(area.score, area.aggregation) + (FEWER if area.n_scans < most else "")
        rows.append({"score": name, **shown, **_counts(area)})
    notes = [
        "AURC, AUGRC: area under the (generalised) risk-coverage curve, risk 1 \N{MINUS SIGN} Dice, lower is better; AUROC, "
        f"AUPRC, and false alarms where 95 % are found (FPR at 95 % TPR), of scans with Dice below {dice_cut:g}; sensitivity and "
        "specificity for them at the threshold that finds 95 % of the validation subjects' failed scans. Simulated scans. "
        f"{CI_NOTE}"
    ]
    of_all = table[table["n_scans"] == most]
    notes += _reasons(table)
    bounds = [
        f"{RISKS[row.measure]} {number(row.oracle, 3)} and {number(row.random, 3)}"
        for row in of_all.drop_duplicates("measure").dropna(subset=["oracle", "random"]).itertuples()
    ]
    notes += [f"An oracle and a random score would have: {', '.join(bounds)}."] if bounds else []
    if (areas["n_scans"] < most).any():
        notes.append(f"{FEWER.strip()}: on fewer scans, of which an oracle and a random score would have other values.")
    return table, "What trusting each score is worth", pd.DataFrame(rows).fillna("NA"), notes


def _reasons(table: pd.DataFrame) -> list[str]:
    """Return why numbers of a risk-coverage table are NA, a footnote a reason."""
    found: dict[str, list[str]] = {}
    for row in table[table["value"].isna()].itertuples():
        for note in str(row.note).split("; "):
            if note.startswith("no "):
                found.setdefault(note, []).append(f"{RISKS[row.measure]} of {score_label(row.score, row.aggregation)}")
    return [f"NA, {reason}: {', '.join(cells)}." for reason, cells in found.items()]


def decoupling_parts(table: pd.DataFrame, artefacts: list[str]) -> Parts:
    """Return how far each head answers to its own artefact.

    Args:
        table: ``decoupling.csv``, of one network.
        artefacts: In the config's order.
    """
    table = _in_order(table, artefacts)
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
        f"is drawn anew with them. {BOUNDED_NOTE}",
    ]
    if any(len(shown) for shown, key in zip(found, DECOUPLING, strict=True) if key[1] == "naming_accuracy"):
        notes.append(
            "naming accuracy: share of corrupted scans of which a verdict would name the right artefact, by a linear "
            "discriminant of all heads that was fitted on validation subjects."
        )
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


def segmentation_parts(table: pd.DataFrame, artefacts: list[str]) -> Parts:
    """Return how good the segmentation and its probabilities are, on clean scans and each artefact's.

    Args:
        table: As :func:`decoupled_qc.analysis.segmentation.segmentation` returns it, of one network.
        artefacts: In the config's order.
    """
    order = {name: index for index, name in enumerate(("all", "clean", *artefacts))}
    table = table.sort_values("scans", key=lambda names: names.map(order), kind="stable")
    rows = []
    for scans, own in table.groupby("scans", sort=False):
        found, most = {row.measure: row for row in own.itertuples()}, own["n_scans"].max()
        shown = {
            name: with_interval(found[key].value, found[key].ci_low, found[key].ci_high, decimals)
            + (FEWER if found[key].n_scans < most else "")
            for key, (name, decimals) in SEGMENTATION.items()
            if key in found
        }
        rows.append({"kind of scan": scans, **shown, **_counts(next(iter(found.values())))})
    notes = [
        "Means over simulated scans. Dice, surface Dice (share of both surfaces within one voxel of the other): 1 is best; HD95: "
        "95th percentile of the distance between surfaces; bias of the grey-matter volume: 0 is best. Of the probability of grey "
        "matter in the brain: ECE, expected calibration error in 15 bins, Brier score and log loss, lower is better; overlap "
        f"(Dice) of uncertain with wrong voxels, 1 is best. {CI_NOTE}"
    ]
    fewer = table["n_scans"] < table.groupby("scans")["n_scans"].transform("max")
    for row in table[fewer & (table["scans"] == "all")].itertuples():
        reason = f"{FEWER.strip()} {SEGMENTATION[row.measure][0]}: on {row.n_scans} of {table['n_scans'].max()} scans"
        notes.append(f"{reason}; where no grey matter was found there is none, so the worst scans are left out.")
    return table, "The segmentation and its probabilities", pd.DataFrame(rows), notes


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
                "CRPS (mL)": number(shown.crps_ml, 1),
                "z": number(shown.z_rms, 2),
                **_counts(shown),
            }
        )
    notes = [
        "Share of scans whose reference volume lies in the interval of each stated level; equal to the level is best. Width and "
        "interval score (width plus 2 / (1 \N{MINUS SIGN} level) times what lies outside): lower is better. Simulated scans with "
        "an artefact: a bar above clean does not exist for a clean scan.",
        "sum var: the paper's, summed voxel variance above clean, taken for a volume; sqrt sum var: its root, as if voxels erred "
        "independently; sum sd: summed standard deviations above clean, as if all erred together; scaled, conformal: multiples "
        "of the summed variance, scaled sd: of the summed standard deviations, fitted on other subjects' scans, without a clean "
        "scan; weighted: these count by how much likelier their variance is among the scans tested, which may leave a scan "
        "without a finite interval; it counts as held.",
        "CRPS: of the whole normal distribution, lower is better; z: root mean square of error over the bar's standard "
        "deviation, 1 if bars are as wide as errors are large; conformal intervals have neither.",
    ]
    return table, "Error bars of the grey-matter volume", pd.DataFrame(rows), notes


def severity_parts(table: pd.DataFrame, artefacts: list[str]) -> Parts:
    """Return how Dice and artefact uncertainty follow each artefact's severity.

    Args:
        table: As :func:`decoupled_qc.analysis.severity.severity_trend` returns it, of one network.
        artefacts: In the config's order.
    """
    table = _in_order(table, artefacts)
    table, rows = table[[key in TRENDS for key in zip(table["measure"], table["aggregation"], strict=True)]], []
    for artefact, own in table.groupby("artefact", sort=False):
        found = {(row.measure, row.aggregation): row for row in own.itertuples()}
        row = next(iter(found.values()))
        shown = {name: _with_interval(found[key], "tau") for key, name in TRENDS.items() if key in found}
        ours = found.get(("artefact_uncertainty", "mean"))
        page = {"Page's p": p_value(ours.page_p)} if ours is not None else {}
        rows.append({"artefact": artefact, **shown, **page, "severities": str(row.n_severities), **_counts(row)})
    notes = [
        "Kendall's tau-b of severity with each, mean over subjects: 1 if it rises at every step, 0 without a trend, below 0 if "
        f"it falls. Page's p: of Page's L, one-sided, that the artefact uncertainty rises in no subject. {CI_NOTE} "
        f"{BOUNDED_NOTE}",
    ]
    return table, "How quality and uncertainty follow severity", pd.DataFrame(rows), notes


def correlation_parts(table: pd.DataFrame, artefacts: list[str]) -> Parts:
    """Return rho of Dice with the scores of Table 1 over all simulated scans, parts of them, and validation scans.

    Args:
        table: As :func:`decoupled_qc.analysis.correlation.correlate` returns it, of one network.
        artefacts: In the config's order.
    """
    sets = {"simulated": "all simulated scans", "simulated_artefact_only": "with an artefact"}
    sets |= {f"simulated_{name}": name for name in artefacts} | {"simulated_within_artefact": "mean of the artefacts"}
    sets |= {"validation": "validation scans", "validation_within_anatomy": "the same, mean of the heads"}
    table = table[table["set"].isin(sets) & (table["target"] == "dice")]
    table = table[[key in OF_SETS for key in zip(table["score"], table["aggregation"], strict=True)]]
    table = table.sort_values("set", key=lambda names: names.map(list(sets).index), kind="stable")
    rows = []
    for set_name, own in table.groupby("set", sort=False):
        found = {(row.score, row.aggregation): row for row in own.itertuples()}
        shown = {name: _with_interval(found[of]) if of in found else "NA" for of, name in OF_SETS.items()}
        ours = found["artefact_uncertainty", "mean"]
        rows.append({"scans with": sets[set_name], **shown, "p": p_value(ours.p), **_counts(ours)})
    notes = [
        "rho: Spearman with Dice; the paper's text takes it over the scans with an artefact (140 of 28 subjects). p: of the "
        "artefact uncertainty, two-sided, by permuting whole subjects and the scans inside each; none of a mean. SNR and CNR: "
        "in reference masks, which a new scan does not have. Validation scans are no evidence for the artefact uncertainty, "
        f"whose recipe was chosen on them, but show how the others do on several heads. {CI_NOTE}"
    ]
    return table, "Dice against each score, by artefact", pd.DataFrame(rows), notes


def _rank(row: tuple) -> str:
    """Return a rank with the range of it over draws of subjects."""
    if pd.isna(row.rank):
        return ""
    return f"{row.rank:.0f}" + ("" if pd.isna(row.rank_low) else f" [{row.rank_low:.0f}, {row.rank_high:.0f}]")


def _in_order(table: pd.DataFrame, artefacts: list[str]) -> pd.DataFrame:
    """Return a table with its rows in the artefacts' order, those of none or of several in their old places before these."""
    place = {name: index for index, name in enumerate(artefacts)}
    return table.sort_values("artefact", key=lambda names: names.map(place).fillna(-1), kind="stable")


def _set_name(row: tuple, stand_in: bool) -> str:
    """Return a set of scans and its target."""
    return f"{'stand-in' if stand_in and row.set == 'real' else row.set}, {row.target}"


def _counts(row: tuple) -> dict[str, str]:
    return {"scans": str(row.n_scans), "subjects": str(row.n_subjects), "anatomies": str(row.n_anatomies)}


def _with_interval(row: tuple, name: str = "rho") -> str:
    return with_interval(getattr(row, name), row.ci_low, row.ci_high, 2)
