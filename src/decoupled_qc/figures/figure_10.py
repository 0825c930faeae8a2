"""Figure 10: rating against artefact uncertainty, SNR and CNR on the real set (Table 2 as a picture)."""

import pandas as pd

from decoupled_qc.analysis.scores import STAND_IN
from decoupled_qc.figures import scatter, style
from decoupled_qc.figures.style import Drawing

# A real scan has no reference: SNR and CNR are taken in predicted masks, see decoupled_qc.evaluation.regions.enclosed_white.
PANELS = (("artefact_uncertainty", "mean"), ("snr", "predicted"), ("cnr", "predicted"))
SPREAD = 0.12  # of points of one rating, so that none looks like another


def figure_10(
    wide: pd.DataFrame, correlation: pd.DataFrame, artefacts: list[str], *, stand_in: bool, levels: int
) -> Drawing:
    """Draw the rating, 1 is worst, against the paper's three scores.

    Points of one rating are spread evenly in height so that none hides another.

    Args:
        wide: One row a scan.
        correlation: As :func:`decoupled_qc.analysis.correlation.correlate` returns it.
        artefacts: In the config's order, for the colours.
        stand_in: Whether the scans of the real set are stand-ins.
        levels: Of the rating, 1 to the best.
    """
    rating = next(name for name in wide if name.startswith("rating:"))
    scans = wide[(wide["condition"] == "real") & wide[rating].notna()].sort_values(["artefact", "scan"])
    place = {name: index for index, name in enumerate(["none", *artefacts])}
    effects = scans["artefact"].map(style.effect_of).map(place).fillna(len(place))
    scans = scans.loc[effects.sort_values(kind="stable").index]
    names = list(scans["artefact"].unique())
    colours, markers = style.palette(artefacts, names), style.markers(artefacts, names)
    offsets = scans.groupby(rating)[rating].transform(lambda of_one: style.spread(len(of_one), SPREAD))
    scans = scans.assign(height=scans[rating] + offsets)

    figure, panels, stated = scatter.draw_panels(
        scans, "height", PANELS, correlation, ("real", "rating"), colours, markers, height_mm=80
    )
    panels[0].set(yticks=range(1, levels + 1), ylim=(0.5, levels + 0.5))
    kind = "stand-in rating" if rating == f"rating:{STAND_IN}" else "rating"
    panels[0].set_ylabel(f"{kind} (1 worst, {levels} best)")
    if stand_in:
        style.mark_stand_in(figure)

    columns = ["scan", "subject", "anatomy", "artefact", "severity", rating, "height"]
    rows = scans[columns + [f"{score}:{aggregation}" for score, aggregation in PANELS]]
    rows = rows.rename(columns=lambda name: name.split(":")[0])
    what = kind.capitalize() + (
        " of stand-in scans (artefacts by foreign simulators, not real scans)" if stand_in else ""
    )
    caption = (
        f"{what} against each score, {style.counts(scans)}; points of one rating are spread in height "
        f"by \N{PLUS-MINUS SIGN}{SPREAD}. "
        f"Spearman's \N{GREEK SMALL LETTER RHO} with 95 % subject-bootstrap interval. {stated}. "
        "SNR and CNR are taken in predicted masks."
    )
    return Drawing(figure, rows, caption)
