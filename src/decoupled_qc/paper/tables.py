"""Tables 1 and 2 of the paper from this run's correlations, beside the published values."""

import math

import pandas as pd

from decoupled_qc.analysis.scores import TARGET_OF
from decoupled_qc.errors import InputError
from decoupled_qc.paper import typeset

COLUMNS = ["set", "score", "rho", "ci_low", "ci_high", "p", "n_scans", "n_subjects", "n_anatomies"]
SPREAD_KEY = ["model", "set", "target", "score", "aggregation"]
SPREAD = ["rho_seed_sd", "n_replicates"]
SPREAD_COLUMN = "seed SD (n)"
SPREAD_NOTE = (
    f"{SPREAD_COLUMN}: standard deviation of rho over trainings that differ in their seed alone, and their number; NA: not "
    "computed over trainings."
)

# rho and p as printed (Shaw et al. 2021, Tables 1 and 2); the p of the first rows is not available.
PAPER = {
    "simulated": {"artefact_uncertainty": (-0.850, None), "snr": (0.326, 0.002), "cnr": (0.200, 0.068)},
    "real": {"artefact_uncertainty": (-0.745, None), "snr": (-0.045, 0.730), "cnr": (0.361, 0.005)},
}
PAPER_N = {"simulated": "140 (168 with clean)", "real": "40"}
PAPER_NOTE = {
    "simulated": (
        "The paper's text gives 140 artefact scans of 28 subjects, with their 28 clean scans 168; its printed rho and "
        "p of SNR and CNR agree with each other at n = 84 (two-sided t approximation)."
    ),
    "real": (
        "The paper's text gives 40 scans; its printed rho and p of SNR and CNR agree with each other at n = 60 "
        "(two-sided t approximation)."
    ),
}
# Which tissue masks SNR and CNR are taken in: the paper's rows, and beside them what a new scan allows.
TISSUE_MASK = {"simulated": "reference", "real": "predicted"}
OTHER_MASKS = {"simulated": {"snr_predicted_masks": ("snr", "predicted"), "cnr_predicted_masks": ("cnr", "predicted")}}
GM_MEAN_LABEL = {"artefact_uncertainty_gm_mean": "Artefact uncertainty, near GM"}
IN_PREDICTED = "predicted masks: the network's grey matter, and for white matter what it encloses and is brighter"
MASK_NOTE = {
    "simulated": "SNR and CNR in reference masks, our reading of the paper, need a reference, which the artefact "
    f"uncertainty does not; {IN_PREDICTED}.",
    "real": f"SNR and CNR are taken in {IN_PREDICTED}.",
}
METHOD_NOTE = (
    "rho: Spearman. CI: 95 %, expanded percentiles of a bootstrap of whole subjects. p: two-sided, by permuting whole "
    "subjects and the scans inside each."
)


def correlation_table(correlation: pd.DataFrame, set_name: str, replicates: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return Table 1 (``simulated``: Dice) or Table 2 (``real``: rating) of this run.

    The paper's three scores come first; entropy and the uncertainty near the grey matter follow. ``snr`` and ``cnr``
    are taken in the reference's tissue masks for simulated scans and in predicted ones for real scans; Table 1 has them
    in predicted masks too, as ``snr_predicted_masks`` and ``cnr_predicted_masks``.

    Args:
        correlation: As :func:`decoupled_qc.analysis.correlation.correlate` returns it, of one network.
        set_name: ``simulated`` or ``real``.
        replicates: As :func:`decoupled_qc.analysis.replicates.replicates` returns it, if the spread is wanted.

    Returns:
        The columns ``COLUMNS``, and ``SPREAD`` where a rho is known of several trainings.

    Raises:
        InputError: There are several networks, or the table lacks one of the paper's scores.
    """
    if len(correlation[["model", "replicate"]].drop_duplicates()) > 1:
        raise InputError("The correlations are of several networks: keep the rows of one model and replicate.")
    mask = TISSUE_MASK[set_name]
    wanted = {
        "artefact_uncertainty": ("artefact_uncertainty", "mean"),
        "snr": ("snr", mask),
        "cnr": ("cnr", mask),
        **OTHER_MASKS.get(set_name, {}),
        "entropy": ("entropy", "mean"),
        "artefact_uncertainty_gm_mean": ("artefact_uncertainty", "gm_mean"),
    }
    members = correlation[(correlation["set"] == set_name) & (correlation["target"] == TARGET_OF[set_name])]
    columns = COLUMNS
    if replicates is not None and (replicates["n_replicates"] > 1).any():
        members, columns = (
            members.merge(replicates[[*SPREAD_KEY, *SPREAD]], on=SPREAD_KEY, how="left"),
            COLUMNS + SPREAD,
        )
    rows = []
    for name, (score, aggregation) in wanted.items():
        found = members[(members["score"] == score) & (members["aggregation"] == aggregation)]
        if len(found):
            rows.append(found.assign(score=name))
        elif name in PAPER[set_name]:
            raise InputError(
                f"Set '{set_name}' has no correlation of {TARGET_OF[set_name]} with {score} ({aggregation}): "
                f"scores.csv needs both metrics for its scans."
            )
    return pd.concat(rows)[columns].reset_index(drop=True)


def compared(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table's cells as text, this run's beside the paper's; ``NA`` where a number does not exist.

    The two kinds of masks of one measure stand below each other.

    Args:
        table: As :func:`correlation_table` returns it.
    """
    set_name = table["set"].iloc[0]
    paper = PAPER[set_name]
    rows = []
    order = {name: place for place, name in enumerate(table["score"])}
    order |= {name: order[measure] + 0.5 for name, (measure, _) in OTHER_MASKS.get(set_name, {}).items()}
    for row in table.sort_values("score", key=lambda names: names.map(order)).itertuples():
        paper_rho, paper_p = paper.get(row.score, (None, None))
        rows.append(
            {
                "score": label(set_name, row.score),
                "rho": number(row.rho),
                "95 % CI": typeset.interval(row.ci_low, row.ci_high, 3),
                **({SPREAD_COLUMN: spread(row)} if SPREAD[0] in table else {}),
                "p": p_value(row.p),
                "scans": str(row.n_scans),
                "subjects": str(row.n_subjects),
                "anatomies": str(row.n_anatomies),
                "paper's rho": "" if paper_rho is None else number(paper_rho),
                "paper's p": "" if paper_rho is None else "n/a" if paper_p is None else p_value(paper_p),
            }
        )
    return pd.DataFrame(rows)


def spread(row: tuple) -> str:
    """Return the standard deviation of rho over trainings and their number, NA of fewer than two."""
    several = row.n_replicates > 1
    return f"{typeset.number(row.rho_seed_sd, 3)} ({row.n_replicates:.0f})" if several else "NA"


def label(set_name: str, score: str) -> str:
    """Return a score's name as a table shows it, SNR and CNR with the masks they are taken in."""
    measure, mask = OTHER_MASKS.get(set_name, {}).get(score, (score, TISSUE_MASK[set_name]))
    return GM_MEAN_LABEL.get(measure, typeset.title_of(measure)) + (
        f", {mask} masks" if measure in ("snr", "cnr") else ""
    )


def number(value: float) -> str:
    """Return a correlation with three decimals and a true minus sign; NA for NaN."""
    return typeset.number(value, 3)


def p_value(p: float) -> str:
    """Return a p value with three decimals, ``< 0.001`` below that; NA for NaN."""
    if not math.isfinite(p):
        return "NA"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def title(set_name: str, stand_in: bool, rated: bool = False) -> str:
    """Return what a table shows.

    Args:
        set_name: ``simulated`` or ``real``.
        stand_in: Whether the real set's scans are stand-ins.
        rated: Whether raters judged them all the same.
    """
    if set_name == "simulated":
        return "Table 1. Dice against each score, simulated artefacts on held-out subjects"
    if stand_in:
        what = "Rating" if rated else "Stand-in rating"
        return f"Table 2. {what} against each score, stand-in scans (artefacts by foreign simulators)"
    return "Table 2. Rating against each score, scans with real artefacts"


def labels_of(manifest: pd.DataFrame, set_name: str, stand_in: bool) -> str:
    """Return where the labels of a table's subjects come from, such as ``FreeSurfer; surfaces``.

    Args:
        manifest: The cohort, with the columns ``role`` and ``label_source``.
        set_name, stand_in: As for :func:`title`.
    """
    role = "real" if set_name == "real" and not stand_in else "test"
    return "; ".join(sorted(set(manifest.loc[manifest["role"] == role, "label_source"]) - {""}))


def notes(set_name: str, stand_in: bool, rated: bool = False, labels: str = "") -> list[str]:
    """Return a table's footnotes.

    Args:
        set_name, stand_in, rated: As for :func:`title`.
        labels: Of :func:`labels_of`; empty if that is not known.
    """
    lines = [METHOD_NOTE, MASK_NOTE[set_name], PAPER_NOTE[set_name]]
    if set_name == "real" and stand_in:
        source = "raters who saw the segmentation alone" if rated else "the scan's Dice, no rater saw them"
        lines.insert(
            0,
            "Stand-in: these are not real artefact scans. Artefacts come from foreign simulators never seen in training, "
            f"ratings 1 to 4 from {source}.",
        )
    return [*lines, f"Labels: {labels}."] if labels else lines


def rater_notes(agreement: pd.DataFrame) -> list[str]:
    """Return a footnote with how far each pair of raters agrees, the ceiling of any score; none without two raters.

    Args:
        agreement: As :func:`decoupled_qc.rating.agreement.agreement` returns it, of the ratings behind the table.
    """
    if agreement.empty:
        return []
    pairs = [
        f"{typeset.with_interval(row.kappa, row.ci_low, row.ci_high, 2)} (rho {typeset.number(row.rho, 2)}, {row.n_scans} scans)"
        for row in agreement.itertuples()
    ]
    return [
        f"Raters among themselves, quadratic-weighted kappa of each pair: {'; '.join(pairs)}. 1 is full agreement, 0 chance. "
        "No score can be expected to follow raters more closely than they follow one another."
    ]


def parts(
    table: pd.DataFrame, stand_in: bool, rated: bool = False, labels: str = ""
) -> tuple[str, pd.DataFrame, list[str]]:
    """Return a table's title, its cells as text, and its footnotes.

    Args:
        table: As :func:`correlation_table` returns it.
        stand_in, rated, labels: As for :func:`notes`.
    """
    set_name = table["set"].iloc[0]
    lines = notes(set_name, stand_in, rated, labels) + ([SPREAD_NOTE] if SPREAD[0] in table else [])
    return title(set_name, stand_in, rated), compared(table), lines


def side_by_side(table: pd.DataFrame) -> str:
    """Return Table 1 of this run beside the paper's, as plain text for a terminal.

    Args:
        table: Table 1 as :func:`correlation_table` returns it.
    """
    cells = compared(table)
    set_name = table["set"].iloc[0]
    short = pd.DataFrame(
        {
            "score": cells["score"],
            "this run: rho [95 % CI]": [
                f"{row.rho} [{row.ci}]" for row in cells.rename(columns={"95 % CI": "ci"}).itertuples()
            ],
            "p": cells["p"],
            "paper: rho": cells["paper's rho"],
            "paper: p": cells["paper's p"],
        }
    )
    row = table.iloc[0]
    plural = "anatomy" if row.n_anatomies == 1 else "anatomies"
    lines = [
        "Table 1: Spearman correlation with Dice on simulated artefacts, held-out subjects",
        f"  this run: {row.n_scans} scans, {row.n_subjects} subjects from {row.n_anatomies} {plural}; "
        f"paper: {PAPER_N[set_name]} scans, 28 subjects",
        "",
        *("  " + line for line in typeset.aligned(short)),
        "",
    ]
    return "\n".join(lines)
