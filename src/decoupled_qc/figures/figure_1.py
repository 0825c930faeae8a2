"""Figure 1: the same artefact at the same strength, in the grey matter in one scan and mostly outside it in another."""

import json
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from decoupled_qc.figures import style
from decoupled_qc.figures.examples import EXPLAINED, dice_titles, draw_examples
from decoupled_qc.figures.images import GREY_MATTER, gather_scans
from decoupled_qc.figures.style import Drawing
from decoupled_qc.simulation.affected import affected_part, share_inside

SEVERITY_APART = 0.1  # of the two scans
SHARE = "grey_matter_share"


def figure_1(
    wide: pd.DataFrame, conditions: Sequence[Path], predictions: Sequence[Path], artefacts: Sequence[str]
) -> Drawing:
    """Draw for each artefact two scans of nearly the same severity: those with the least and the most grey matter in it.

    The paper's point: what an artefact does to the look of a scan is not what it does to a task. Where it lies decides.

    Args:
        wide: One row a scan.
        conditions: Folders ``clean`` and ``sim-<artefact>``.
        predictions: Folders of their maps.
        artefacts: In the order to show; their variances are summed.
    """
    scans = gather_scans(conditions).set_index("scan")
    of_all = wide[wide["condition"].isin([f"sim-{name}" for name in artefacts])]
    of_all = of_all.assign(**{SHARE: [share_of_grey_matter(scans.loc[name]) for name in of_all["scan"]]})
    pairs = [least_and_most(of_all[of_all["condition"] == f"sim-{name}"]) for name in artefacts]
    chosen = pd.concat(pairs, ignore_index=True)
    apart = chosen.groupby("artefact")["severity"].agg(np.ptp).max()
    titles = [
        (f"{name}\n{100 * share:.0f} % of GM", dice)
        for (name, dice), share in zip(dice_titles(chosen), chosen[SHARE], strict=True)
    ]
    figure, rows = draw_examples(chosen, titles, "dice:gm", conditions, predictions, artefacts)
    whole = [pair for pair in pairs if len(pair) == 2]
    better = sum(pair["dice:gm"].iloc[0] > pair["dice:gm"].iloc[1] for pair in whole)
    caption = (
        f"The same artefact at nearly the same severity (at most {apart:.2f} apart, on a scale of 0 to 1), where the part of "
        "the scan that it covers holds less and where it holds more of the grey matter: for each artefact the pair that "
        f"differs most in that share, out of {style.counts(of_all)}. Dice is higher with less of it in {better} of "
        f"{len(whole)} pairs. Above the scans: artefact and severity, and the share of the reference's grey matter in that "
        "part (100 %: the artefact covers the whole scan); artefact variance on one scale from 0 to "
        f"{rows['scale_top'].iloc[0]:.3g}. {EXPLAINED}"
    )
    return Drawing(figure, rows.assign(**{SHARE: chosen[SHARE].to_numpy()}), caption)


def share_of_grey_matter(scan: pd.Series) -> float:
    """Return the share of the reference's grey matter in the part that an artefact covers, 1 if that is the whole scan.

    Args:
        scan: Of :func:`decoupled_qc.figures.images.gather_scans`, with one artefact.
    """
    local = json.loads(scan["records"])[0]["local"]
    if local is None:
        return 1.0
    grey_matter = np.asanyarray(nib.load(scan["dseg"]).dataobj) == GREY_MATTER
    return share_inside(grey_matter, affected_part(grey_matter.shape, local))


def least_and_most(scans: pd.DataFrame) -> pd.DataFrame:
    """Return the two scans of nearly equal severity whose artefacts cover the least and the most grey matter, in this order.

    Nearly equal is within :data:`SEVERITY_APART`, or the nearest two where there are so few scans that none are. Of pairs that
    are equally far apart, as where all artefacts cover the whole scan, the one whose Dice differs most.

    Args:
        scans: With ``severity``, ``dice:gm`` and :data:`SHARE`, of one artefact; a single one is returned as it is.
    """
    if len(scans) < 2:
        return scans
    severity, dice, share = (scans[name].to_numpy() for name in ("severity", "dice:gm", SHARE))
    apart = np.abs(severity[:, None] - severity)
    np.fill_diagonal(apart, np.inf)
    near = apart <= max(SEVERITY_APART, apart.min())
    more = np.where(near, share - share[:, None], -np.inf)
    ahead = np.where(np.isclose(more, more.max()), dice[:, None] - dice, -np.inf)
    least, most = np.unravel_index(np.argmax(ahead), ahead.shape)
    return scans.iloc[[least, most]]
