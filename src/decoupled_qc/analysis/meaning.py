"""What scores mean, as their modules say it: which way is better, and what they rest on."""

import numpy as np
import pandas as pd

from decoupled_qc import measures


def of_image(column: str) -> bool:
    """Say whether a score is an image quality measure, which needs no network but for the mask of some.

    Args:
        column: ``<metric>:<aggregation>``.
    """
    return measures.entry(column.split(":")[0], "OF_IMAGE", False)


def needs_reference(score: str, aggregation: str) -> bool:
    """Say whether a score is taken in the reference's masks, which a new scan does not have, or regressed on such."""
    return aggregation == "reference" or measures.entry(score, "NEEDS_REFERENCE", False)


def distrust(scans: pd.DataFrame, score: str) -> np.ndarray:
    """Return a score turned so that higher is worse, by what the score means and never by the data.

    Args:
        scans: One row a scan.
        score: Column, ``<metric>:<aggregation>``.
    """
    values = scans[score].to_numpy()
    return -values if direction(score) > 0 else values


def direction(score: str) -> int:
    """Return 1 if more of a score means a better scan, else -1, as of a score that has no module.

    Args:
        score: Its name, or its column, ``<metric>:<aggregation>``.
    """
    return 1 if measures.entry(score.split(":")[0], "HIGHER_IS_BETTER", False) else -1


def higher_is_better() -> list[str]:
    """Return the names of all scores of which more means a better scan."""
    return [name for name in measures.available() if direction(name) > 0]


def strength(correlations: pd.DataFrame) -> pd.Series:
    """Return rho turned to the direction that each score's meaning gives it: 1 is best, below 0 the score means the opposite.

    Args:
        correlations: With the columns ``rho`` and ``score``.
    """
    return correlations["rho"] * correlations["score"].map(direction)
