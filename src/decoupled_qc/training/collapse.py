"""Has a training gone wrong in a way that loss and Dice do not show?"""

from collections.abc import Iterator
from math import exp

import pandas as pd

from decoupled_qc.causes import CLEAN, LOG_VARIANCE_LIMITS

AT_LIMIT = 0.02  # relative distance from a limit
MOVED = 0.01  # relative change of a head's mean over the whole training
ANSWERS = 1.05  # a head's mean on its own artefact over that on clean patches
BELOW_EPSILON = 0.999  # share of voxels
ROSE = 1.25  # last cross-entropy over the lowest
HELD_BY_VARIANCE = 2.0  # total variance over twice the cross-entropy, its best value


def collapse_warnings(looks: pd.DataFrame, metrics: pd.DataFrame) -> list[str]:
    """Return what is wrong with a training, one sentence each; nothing if it went well.

    A head that sits at a limit, never moved or does not rise on its own artefact is not trained; heads that began as those
    of another network, a teacher's for the task and all of a student's, need not move. Where nearly all voxels have hardly
    more variance than all heads at their lower limits, the likelihood is plain cross-entropy. Where the cross-entropy has
    risen from its lowest while the variance is far above its best value, 2 CE, the loss is met by variance and not by the
    segmentation.

    Args:
        looks: ``held_out.csv``: at least the first and the last look.
        metrics: ``metrics.csv``.

    Source: the ways this loss fails in short trainings; Seitzer et al. 2022 on the last.
    """
    if looks.empty:
        return []
    first, last = (
        looks[looks["step"] == step].set_index("input") for step in (looks["step"].min(), looks["step"].max())
    )
    heads = [name.removeprefix("variance_") for name in looks if name.startswith("variance_")]
    # Looks at other scans than now are dropped when a training goes on: then nobody knows where it began.
    own = _own(heads) if looks["step"].min() == 0 else None
    return [sentence for head in heads for sentence in _of_head(head, own == head, first, last)] + list(
        _of_loss(looks, last, metrics, heads)
    )


def _own(heads: list[str]) -> str | None:
    """Return the head that a task network, a coupled one or a teacher adds; None for a student."""
    return heads[-1] if len(heads) <= 2 else None


def _of_head(head: str, own: bool, first: pd.DataFrame, last: pd.DataFrame) -> Iterator[str]:
    begin, end = first[f"variance_{head}"], last[f"variance_{head}"]
    low, high = (exp(limit) for limit in LOG_VARIANCE_LIMITS)
    if end.max() < low * (1 + AT_LIMIT):
        yield f"The {head} variance sits at its lower limit, {low:.2g}, on every input: it is not trained."
    elif end.min() > high * (1 - AT_LIMIT):
        yield f"The {head} variance sits at its upper limit, {high:.2g}, on every input: it is not trained."
    elif own and ((end / begin - 1).abs() < MOVED).all():
        yield f"The {head} variance has not moved since the first step: it is not trained."
    elif head in end.index and end[head] < ANSWERS * end[CLEAN]:
        yield f"The {head} variance does not answer to its artefact: {end[head]:.2g} with it, {end[CLEAN]:.2g} without."


def _of_loss(looks: pd.DataFrame, last: pd.DataFrame, metrics: pd.DataFrame, heads: list[str]) -> Iterator[str]:
    ending = metrics["share_below_epsilon"].tail(max(1, len(metrics) // 10)).mean()
    if ending > BELOW_EPSILON:
        yield (
            f"{100 * ending:.1f} % of all voxels have less variance than epsilon above the lowest possible: the variance has "
            "collapsed."
        )
    twice_ce, lowest = (
        last.loc[CLEAN, "twice_cross_entropy"],
        looks.loc[looks["input"] == CLEAN, "twice_cross_entropy"].min(),
    )
    total = sum(last.loc[CLEAN, f"variance_{head}"] for head in heads)
    if twice_ce > ROSE * lowest and total > HELD_BY_VARIANCE * twice_ce:
        yield (
            f"On clean patches twice the cross-entropy rose from {lowest:.2g} to {twice_ce:.2g} under a variance of "
            f"{total:.2g}: the loss is met by variance instead of by the segmentation."
        )
