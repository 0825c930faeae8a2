"""Risk-coverage curves, and failures found at any Dice below which a scan failed."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from decoupled_qc.analysis import meaning
from decoupled_qc.analysis import scores as tables
from decoupled_qc.analysis.ranking import WeightedRanking
from decoupled_qc.analysis.scores import OURS
from decoupled_qc.figures import style
from decoupled_qc.figures.style import Drawing

# Hollow and dashed: taken in reference masks, which a new scan does not have.
IN_REFERENCE = {"linestyle": "--", "markerfacecolor": "white"}
SHOWN = {
    OURS: ("artefact uncertainty", {"color": style.TONES[0], "marker": "o", "linewidth": 1.6}),
    "entropy:mean": ("entropy", {"color": style.TONES[1], "marker": "^"}),
    "snr:predicted": ("SNR (predicted masks)", {"color": style.TONES[2], "marker": "s"}),
    "snr:reference": ("SNR (reference masks)", {"color": style.TONES[2], "marker": "s", **IN_REFERENCE}),
    "cnr:predicted": ("CNR (predicted masks)", {"color": style.TONES[3], "marker": "D"}),
    "cnr:reference": ("CNR (reference masks)", {"color": style.TONES[3], "marker": "D", **IN_REFERENCE}),
}
LEGEND_COLUMNS = 4


def figure_risk(wide: pd.DataFrame, risk: pd.DataFrame) -> Drawing:
    """Draw 1 - Dice of the most trusted scans against how many are trusted, and AUROC against the Dice cut.

    Args:
        wide: One row a scan.
        risk: As :func:`decoupled_qc.analysis.risk_coverage.risk_coverage` returns it, of one network.
    """
    scans = wide[tables.simulated(wide)].dropna(subset=["dice:gm"])
    loss = 1 - scans["dice:gm"].to_numpy()
    figure = style.new_figure(style.TWO_COLUMNS_MM, 74)
    left, right = figure.subplots(1, 2)
    curves = [_line(left, *WeightedRanking(loss).curve(loss), "oracle", color="black", linestyle=":")]
    curves.append(
        _line(
            left,
            np.array([0.0, 1.0]),
            np.full(2, loss.mean()),
            "random",
            color=style.CLEAN_COLOUR,
            linestyle=(0, (5, 3)),
        )
    )
    shown = {column: look for column, look in SHOWN.items() if column in scans}
    for column, (label, look) in shown.items():
        own = scans.dropna(subset=[column])
        if len(own):
            own_loss = 1 - own["dice:gm"].to_numpy()
            coverage, mean_loss = WeightedRanking(meaning.distrust(own, column)).curve(own_loss)
            curves.append(_line(left, coverage, mean_loss, label, markevery=0.15, markersize=2.5, **look))
    right.axhline(0.5, color=style.CLEAN_COLOUR, linestyle=(0, (5, 3)), linewidth=0.8)
    for column, (label, look) in shown.items():
        curves.append(_detection(right, risk, column, label, look))
    left.set(
        xlabel="coverage: share of scans trusted", ylabel="mean 1 \N{MINUS SIGN} Dice of trusted scans", xlim=(0, 1)
    )
    right.set(
        xlabel="Dice below which a scan has failed (n: how many have)",
        ylabel="AUROC of failure",
        ylim=(0.4, 1.02),
    )
    detected = risk[risk["measure"] == "auroc"].dropna(subset=["value"])
    failed = detected.groupby("dice_cut")["n_failed"].max()
    right.set_xticks(failed.index, [f"{cut:g}\nn={n:.0f}" for cut, n in failed.items()])
    for index, axes in enumerate((left, right)):
        style.letter(axes, index)
        axes.set_title(style.counts(scans), fontsize=style.SMALL_PT)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=LEGEND_COLUMNS)
    rows = pd.concat(curves, ignore_index=True)
    ours = risk[(risk["score"] == "artefact_uncertainty") & (risk["aggregation"] == "mean")].set_index("measure")
    aurc, augrc = (ours.loc[measure] for measure in ("aurc", "augrc"))
    caption = (
        f"(a) Mean 1 \N{MINUS SIGN} Dice of the scans trusted most by each score; (b) how well each score finds scans whose "
        "Dice is below a cut, with their number under the cut; band: 95 % subject-bootstrap interval of the artefact "
        "uncertainty's; no point where all or no scan failed. Dashed and hollow: taken in reference masks, "
        "which a new scan does not have. "
        f"{style.counts(scans)}. Artefact uncertainty: AURC {_three(aurc)}, AUGRC {_three(augrc)}."
    )
    return Drawing(figure, rows, caption)


def _three(row: pd.Series) -> str:
    value, oracle, random = (style.number(row[name], 3) for name in ("value", "oracle", "random"))
    return f"{value} (oracle {oracle}, random {random})"


def _line(axes: Axes, x: np.ndarray, y: np.ndarray, label: str, **look: object) -> pd.DataFrame:
    axes.plot(x, y, label=label, **look)
    return pd.DataFrame({"panel": "risk", "curve": label, "x": x, "y": y})


def _detection(axes: Axes, risk: pd.DataFrame, column: str, label: str, look: dict) -> pd.DataFrame:
    """Draw AUROC over the cuts at which it exists."""
    score, aggregation = column.split(":")
    own = risk[(risk["score"] == score) & (risk["aggregation"] == aggregation) & (risk["measure"] == "auroc")]
    own = own.dropna(subset=["value"]).sort_values("dice_cut")
    axes.plot(own["dice_cut"], own["value"], markersize=2.5, **look)
    if column == OURS:  # six bands would hide each other
        axes.fill_between(own["dice_cut"], own["ci_low"], own["ci_high"], color=look["color"], alpha=0.15, linewidth=0)
    rows = {"panel": "auroc", "curve": label, "x": own["dice_cut"], "y": own["value"]}
    return pd.DataFrame({**rows, "ci_low": own["ci_low"], "ci_high": own["ci_high"]})
