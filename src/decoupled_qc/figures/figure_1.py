"""Figure 1: the same artefact at the same strength, harmless for the task in one scan and not in another."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from decoupled_qc.figures import style
from decoupled_qc.figures.examples import EXPLAINED, dice_titles, draw_examples
from decoupled_qc.figures.style import Drawing

SEVERITY_APART = 0.1  # of the two scans


def figure_1(
    wide: pd.DataFrame, conditions: Sequence[Path], predictions: Sequence[Path], artefacts: Sequence[str]
) -> Drawing:
    """Draw for each artefact two scans of nearly the same severity: those whose Dice differs most.

    The paper's point: what an artefact does to the look of a scan is not what it does to a task. Where it lies decides.

    Args:
        wide: One row a scan.
        conditions: Folders ``clean`` and ``sim-<artefact>``.
        predictions: Folders of their maps.
        artefacts: In the order to show; their variances are summed.
    """
    pairs = [most_unlike(wide[wide["condition"] == f"sim-{name}"]) for name in artefacts]
    chosen = pd.concat(pairs, ignore_index=True)
    apart = chosen.groupby("artefact")["severity"].agg(np.ptp).max()
    figure, rows = draw_examples(chosen, dice_titles(chosen), "dice:gm", conditions, predictions, artefacts)
    of_all = wide[wide["condition"].isin([f"sim-{name}" for name in artefacts])]
    caption = (
        f"The same artefact at nearly the same severity (at most {apart:.2f} apart, on a scale of 0 to 1), in a scan "
        "whose segmentation it harms less and in one where it harms it more: for each artefact the pair whose Dice "
        f"differs most, out of {style.counts(of_all)}. Where an artefact lies differs, and it covers a part of a scan "
        "or all of it. Above the scans: artefact and severity; artefact variance on one scale from 0 to "
        f"{rows['scale_top'].iloc[0]:.3g}. {EXPLAINED}"
    )
    return Drawing(figure, rows, caption)


def most_unlike(scans: pd.DataFrame) -> pd.DataFrame:
    """Return the two scans of nearly equal severity whose Dice differs most, the better one first.

    Nearly equal is within :data:`SEVERITY_APART`, or the nearest two where there are so few scans that none are.

    Args:
        scans: With ``severity`` and ``dice:gm``, of one artefact; a single one is returned as it is.
    """
    if len(scans) < 2:
        return scans
    severity, dice = (scans[name].to_numpy() for name in ("severity", "dice:gm"))
    apart = np.abs(severity[:, None] - severity)
    np.fill_diagonal(apart, np.inf)
    near = apart <= max(SEVERITY_APART, apart.min())
    ahead = np.where(near, dice[:, None] - dice, -np.inf)
    better, worse = np.unravel_index(np.argmax(ahead), ahead.shape)
    return scans.iloc[[better, worse]]
