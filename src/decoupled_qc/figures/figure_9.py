"""Figure 9: the worst and the best scans of the real set."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from decoupled_qc.analysis.scores import OURS, STAND_IN
from decoupled_qc.figures import style
from decoupled_qc.figures.examples import EXPLAINED, draw_examples
from decoupled_qc.figures.style import Drawing

N_WORST = N_BEST = 3


def figure_9(
    wide: pd.DataFrame,
    conditions: Sequence[Path],
    predictions: Sequence[Path],
    artefacts: Sequence[str],
    *,
    stand_in: bool,
    levels: int,
) -> Drawing:
    """Draw the worst-rated scans of the real set, then the best-rated: scan, segmentation, summed artefact variance.

    Of scans with the same rating the more uncertain comes first. Each half shows kinds of artefact in turn, so that one
    kind comes twice only where there are too few others.

    Args:
        wide: One row a scan.
        conditions: Folders ``clean`` and ``real``.
        predictions: Folders of their maps.
        artefacts: Whose variances are summed.
        stand_in: Whether the scans of the real set are stand-ins.
        levels: Of the rating, 1 to the best.
    """
    rating = next(name for name in wide if name.startswith("rating:"))
    members = wide[wide["condition"] == "real"]
    worst_first = members.sort_values([rating, OURS, "scan"], ascending=[True, False, True])
    worst = _of_each_kind(worst_first, N_WORST)
    chosen = pd.concat([worst, _of_each_kind(worst_first.drop(worst.index)[::-1], N_BEST)[::-1]])
    word = "stand-in rating" if rating == f"rating:{STAND_IN}" else "rating"
    titles = [
        (style.artefact_label(scan["artefact"]), f"{word} {scan[rating]:.2g} of {levels}")
        for _, scan in chosen.iterrows()
    ]
    figure, rows = draw_examples(chosen, titles, rating, conditions, predictions, artefacts)
    if stand_in:
        style.mark_stand_in(figure)
    what = (
        "stand-in scans (artefacts by foreign simulators, not real scans)" if stand_in else "scans with real artefacts"
    )
    caption = (
        f"The {len(worst)} worst-rated and {len(chosen) - len(worst)} best-rated among {style.counts(members)} of {what}, "
        f"of different kinds where there are enough, worst on the left: scan, segmentation, summed artefact "
        f"variance on one scale from 0 to {rows['scale_top'].iloc[0]:.3g}. {EXPLAINED}"
    )
    return Drawing(figure, rows, caption)


def _of_each_kind(ordered: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return the first scan of each kind of artefact, then the second, up to a count, in their old order."""
    turn = ordered.groupby("artefact").cumcount()
    return ordered[turn.rank(method="first") <= count]
