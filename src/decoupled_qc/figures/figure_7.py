"""Figure 7: Dice against artefact uncertainty, SNR and CNR on simulated scans (Table 1 as a picture)."""

import pandas as pd

from decoupled_qc.analysis.scores import simulated
from decoupled_qc.figures import scatter, style
from decoupled_qc.figures.style import Drawing
from decoupled_qc.paper import typeset

# SNR and CNR of simulated scans are taken in the reference's tissue masks.
PANELS = (("artefact_uncertainty", "mean"), ("snr", "reference"), ("cnr", "reference"))


def figure_7(wide: pd.DataFrame, correlation: pd.DataFrame, artefacts: list[str]) -> Drawing:
    """Draw Dice against the paper's three scores, clean scans and one of each artefact.

    Args:
        wide: One row a scan.
        correlation: As :func:`decoupled_qc.analysis.correlation.correlate` returns it.
        artefacts: In the config's order, for the colours.
    """
    scans = wide[simulated(wide)]
    order = {name: index for index, name in enumerate(["none", *artefacts])}
    scans = scans.sort_values("artefact", key=lambda names: names.map(order), kind="stable")
    colours, markers = style.palette(artefacts, []), style.markers(artefacts, [])

    figure, panels, stated = scatter.draw_panels(
        scans, "dice:gm", PANELS, correlation, ("simulated", "dice"), colours, markers, height_mm=66
    )
    panels[0].set_ylabel(typeset.title_of("dice"))
    elsewhere = [
        f"{typeset.title_of(score)} {style.rho_text(found)}"
        for score in ("snr", "cnr")
        if (found := scatter.find(correlation, "simulated", "dice", score, "predicted")) is not None
    ]

    columns = ["scan", "subject", "anatomy", "artefact", "severity", "dice:gm"]
    rows = scans[columns + [f"{score}:{aggregation}" for score, aggregation in PANELS]]
    rows = rows.rename(columns=lambda name: name.split(":")[0])
    caption = (
        f"Dice of the grey-matter segmentation against each score, {style.counts(scans)}. "
        f"Spearman's \N{GREEK SMALL LETTER RHO} with 95 % subject-bootstrap interval. {stated}. SNR and CNR are taken "
        "in reference masks, which a new scan does not have"
    )
    caption += f"; in predicted ones: {', '.join(elsewhere)}." if elsewhere else "."
    return Drawing(figure, rows, caption)
