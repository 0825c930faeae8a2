"""Two correlations with the same variable in the same scans: is one larger? And many such tests at once."""

import math

import numpy as np
from scipy import stats


def williams_p(r_jk: float, r_jh: float, r_kh: float, n: int) -> tuple[float, float]:
    """Return Williams' t (n - 3 degrees of freedom) and its two-sided p for r_jk = r_jh.

    Takes scans for independent, so with several scans a subject its p is too small; the subject bootstrap is to be
    preferred.

    Args:
        r_jk, r_jh: The two correlations, with variable j in common.
        r_kh: Of the two others.
        n: Number of scans.

    Source: Williams 1959, J. R. Statist. Soc. B 21:396; eq. 7 of Steiger 1980, Psychol. Bull. 87:245.
    """
    determinant = 1 - r_jk**2 - r_jh**2 - r_kh**2 + 2 * r_jk * r_jh * r_kh
    mean = (r_jk + r_jh) / 2
    below = 2 * (n - 1) / (n - 3) * determinant + mean**2 * (1 - r_kh) ** 3 if n > 3 else 0.0
    if below <= 1e-12:
        return math.nan, math.nan
    t = (r_jk - r_jh) * math.sqrt((n - 1) * (1 + r_kh) / below)
    return t, float(2 * stats.t.sf(abs(t), n - 3))


def steiger_p(r_jk: float, r_jh: float, r_kh: float, n: int) -> tuple[float, float]:
    """Return Steiger's Z and its two-sided p for r_jk = r_jh, with pooled correlations in the covariance.

    Args:
        r_jk, r_jh, r_kh, n: As for :func:`williams_p`, whose warning holds here too.

    Source: Steiger 1980, Psychol. Bull. 87:245, eq. 14.
    """
    pooled = (r_jk + r_jh) / 2
    if n <= 3 or max(abs(r_jk), abs(r_jh), abs(pooled)) >= 1:
        return math.nan, math.nan
    psi = r_kh * (1 - 2 * pooled**2) - pooled**2 * (1 - 2 * pooled**2 - r_kh**2) / 2
    covariance = psi / (1 - pooled**2) ** 2
    if covariance >= 1:
        return math.nan, math.nan
    z = (math.atanh(r_jk) - math.atanh(r_jh)) * math.sqrt((n - 3) / (2 - 2 * covariance))
    return z, float(2 * stats.norm.sf(abs(z)))


def bootstrap_p(draws: np.ndarray) -> float:
    """Return the two-sided p of "no difference" from bootstrap draws of a difference: twice the smaller tail, at least 1 / n.

    Args:
        draws: (n_boot,) float, NaN where the difference does not exist; NaN if it never does.
    """
    draws = draws[np.isfinite(draws)]
    if not len(draws):
        return math.nan
    tail = min((draws <= 0).mean(), (draws >= 0).mean())
    return float(min(1.0, 2 * max(tail, 1 / len(draws))))


def holm(p: np.ndarray) -> np.ndarray:
    """Return p values adjusted for all of them being looked at (family-wise error); NaN stays and does not count.

    Args:
        p: (n,) float.

    Source: Holm 1979, Scand. J. Stat. 6:65.
    """
    p = np.asarray(p, dtype=float)
    order = np.argsort(p)  # NaN last
    n = int(np.isfinite(p).sum())
    adjusted = np.full(len(p), np.nan)
    steps = np.maximum.accumulate(p[order[:n]] * np.arange(n, 0, -1))
    adjusted[order[:n]] = np.minimum(steps, 1.0)
    return adjusted
