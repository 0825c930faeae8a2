"""A ratio that may not exist."""

import math


def ratio(numerator: float, denominator: float) -> float:
    """Return a ratio, NaN where nothing is below the line."""
    return float(numerator / denominator) if denominator > 0 else math.nan
