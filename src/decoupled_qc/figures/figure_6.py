"""Figure 6: scans of the simulated quality experiment, from worst to best."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from decoupled_qc.analysis.scores import simulated
from decoupled_qc.figures import style
from decoupled_qc.figures.examples import EXPLAINED, dice_titles, draw_examples
from decoupled_qc.figures.style import Drawing

N_SCANS = 6


def figure_6(
    wide: pd.DataFrame, conditions: Sequence[Path], predictions: Sequence[Path], artefacts: Sequence[str]
) -> Drawing:
    """Draw scans at even steps of the ranking by Dice: scan, segmentation, summed artefact variance.

    Args:
        wide: One row a scan.
        conditions: Folders ``clean`` and ``sim-<artefact>``.
        predictions: Folders of their maps.
        artefacts: Whose variances are summed.
    """
    ranked = wide[simulated(wide)].sort_values(["dice:gm", "scan"])
    chosen = ranked.iloc[np.unique(np.linspace(0, len(ranked) - 1, N_SCANS).round().astype(int))]
    figure, rows = draw_examples(chosen, dice_titles(chosen), "dice:gm", conditions, predictions, artefacts)
    caption = (
        f"Scans of the simulated quality experiment at even steps of the ranking by Dice, worst on the left "
        f"(out of {style.counts(ranked)}): artefact and severity, Dice, and the summed artefact variance on one scale "
        f"from 0 to {rows['scale_top'].iloc[0]:.3g}. {EXPLAINED}"
    )
    return Drawing(figure, rows, caption)
