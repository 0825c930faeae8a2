"""Figure 1: the same artefact at the same strength, in the grey matter in one scan and mostly outside it in another."""

import json
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from decoupled_qc.dseg import GREY_MATTER
from decoupled_qc.figures import style
from decoupled_qc.figures.examples import EXPLAINED, dice_titles, draw_examples
from decoupled_qc.figures.style import Drawing
from decoupled_qc.scan_table import read_conditions
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
    scans = read_conditions(conditions).set_index("scan")
    of_all = wide[wide["condition"].isin([f"sim-{name}" for name in artefacts])]
    of_all = of_all.assign(**{SHARE: [share_of_grey_matter(scans.loc[name]) for name in of_all["scan"]]})
    of_each = [of_all[of_all["condition"] == f"sim-{name}"] for name in artefacts]
    chosen = pd.concat([least_and_most(members) for members in of_each], ignore_index=True)
    apart = chosen.groupby("artefact")["severity"].agg(np.ptp).max()
    titles = [
        (f"{name}\n{100 * share:.0f} % of GM", dice)
        for (name, dice), share in zip(dice_titles(chosen), chosen[SHARE], strict=True)
    ]
    figure, rows = draw_examples(chosen, titles, "dice:gm", conditions, predictions, artefacts)
    every = pd.concat([near_pairs(members) for members in of_each])
    unlike = every[every["gain"] > 0]
    fall = (
        f"Of all {len(unlike)} pairs of an artefact that are so near in severity and differ in that share, Dice is higher with "
        f"less of it in {unlike['dice_falls'].sum()}; subjects differ in Dice too. "
    )
    caption = (
        f"The same artefact at nearly the same severity (at most {apart:.2f} apart, on a scale of 0 to 1), where the part of "
        "the scan that it covers holds less and where it holds more of the grey matter: for each artefact the pair that "
        f"differs most in that share, of two subjects, out of {style.counts(of_all)}. {fall if len(unlike) else ''}Above the "
        "scans: artefact and severity, and the share of the reference's grey matter in that part (100 %: the artefact covers "
        f"the whole scan); artefact variance on one scale from 0 to {rows['scale_top'].iloc[0]:.3g}. {EXPLAINED}"
    )
    return Drawing(figure, rows.assign(**{SHARE: chosen[SHARE].to_numpy()}), caption)


def share_of_grey_matter(scan: pd.Series) -> float:
    """Return the share of the reference's grey matter in the part that an artefact covers, 1 if that is the whole scan.

    Args:
        scan: Of :func:`decoupled_qc.scan_table.read_conditions`, with one artefact.
    """
    local = json.loads(scan["records"])[0]["local"]
    if local is None:
        return 1.0
    grey_matter = np.asanyarray(nib.load(scan["dseg"]).dataobj) == GREY_MATTER
    return share_inside(grey_matter, affected_part(grey_matter.shape, local))


def least_and_most(scans: pd.DataFrame) -> pd.DataFrame:
    """Return the two scans of nearly equal severity whose artefacts cover the least and the most grey matter, in this order.

    Of pairs that differ alike in that share, as where all artefacts cover the whole scan, the nearest in severity, then the
    first by name: Dice has no part in the choice.

    Args:
        scans: With ``scan``, ``severity``, ``dice:gm`` and :data:`SHARE`, of one artefact; a single one is returned as it is.
    """
    if len(scans) < 2:
        return scans
    pairs = near_pairs(scans).sort_values(["gain", "apart", "less", "more"], ascending=[False, True, True, True])
    return scans.set_index("scan", drop=False).loc[pairs[["less", "more"]].iloc[0]]


def near_pairs(scans: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs of scans of nearly equal severity: within :data:`SEVERITY_APART`, or the nearest where none are.

    Args:
        scans: As for :func:`least_and_most`.

    Returns:
        ``less`` and ``more``, the scans by their share of grey matter, equal ones by name; ``gain`` of the share and severities
        ``apart``, >= 0; ``dice_falls``, whether Dice is lower with more.
    """
    ordered = scans.sort_values([SHARE, "scan"])
    less, more = (ordered.iloc[places] for places in np.triu_indices(len(ordered), 1))
    dice, share, severity = (more[name].to_numpy() - less[name].to_numpy() for name in ("dice:gm", SHARE, "severity"))
    pairs = pd.DataFrame({"less": less["scan"].to_numpy(), "more": more["scan"].to_numpy()})
    # Rounded, so that pairs are equally far apart although their differences are not equal to the last bit.
    pairs = pairs.assign(gain=share.round(9), apart=np.abs(severity).round(9), dice_falls=dice < 0)
    return pairs[pairs["apart"] <= max(SEVERITY_APART, pairs["apart"].min())]
