"""Two correlations with the same variable in the same scans: is one larger? And many such tests at once."""

import math

import numpy as np
from scipy import stats

from decoupled_qc.analysis.resampling import expanded_tail


def williams_test(r_jk: float, r_jh: float, r_kh: float, n: int) -> tuple[float, float]:
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


def steiger_test(r_jk: float, r_jh: float, r_kh: float, n: int) -> tuple[float, float]:
    """Return Steiger's Z and its two-sided p for r_jk = r_jh, with pooled correlations in the covariance.

    Args:
        r_jk, r_jh, r_kh, n: As for :func:`williams_test`, whose warning holds here too.

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


def zou_interval(r_jk: float, r_jh: float, r_kh: float, n: int) -> tuple[float, float]:
    """Return Zou's 95 % interval of r_jk - r_jh, from Fisher's intervals of both and how these depend on each other.

    Args:
        r_jk, r_jh, r_kh, n: As for :func:`williams_test`, whose warning holds here too: the interval is then too narrow. It was
            derived for Pearson's r of normal variables; of ranks it is a little too narrow as well.

    Source: Zou 2007, Psychol. Methods 12:399, for correlations with a variable in common.
    """
    if n <= 3 or max(abs(r_jk), abs(r_jh)) >= 1:
        return math.nan, math.nan
    half = stats.norm.ppf(0.975) / math.sqrt(n - 3)
    below_k, above_k = (abs(math.tanh(math.atanh(r_jk) + side) - r_jk) for side in (-half, half))
    below_h, above_h = (abs(math.tanh(math.atanh(r_jh) + side) - r_jh) for side in (-half, half))
    shared = (r_kh - r_jk * r_jh / 2) * (1 - r_jk**2 - r_jh**2 - r_kh**2) + r_kh**3
    together = 2 * shared / ((1 - r_jk**2) * (1 - r_jh**2))
    low = max(0.0, below_k**2 + above_h**2 - together * below_k * above_h)
    high = max(0.0, above_k**2 + below_h**2 - together * above_k * below_h)
    return r_jk - r_jh - math.sqrt(low), r_jk - r_jh + math.sqrt(high)


def bootstrap_p(draws: np.ndarray, n_subjects: int) -> float:
    """Return the two-sided p of "no difference" from bootstrap draws of a difference, below 0.05 where their interval misses 0.

    An interval of level 1 - p has the ends a and 1 - a, a = Phi(-sqrt(n / (n - 1)) t), t the quantile 1 - p / 2 of Student's t
    with n - 1 degrees of freedom, see :func:`decoupled_qc.analysis.resampling.percentile_interval`. The p is the one whose
    interval ends at 0: p = 2 F(sqrt((n - 1) / n) Phi^-1(a)), a the smaller tail of the draws at 0, F the distribution of t.

    Args:
        draws: (n_boot,) float, NaN where the difference does not exist; NaN if it never does.
        n_subjects: Number of subjects that were drawn from, at least 2.
    """
    draws = np.sort(draws[np.isfinite(draws)])
    if not len(draws):
        return math.nan
    tail = min(_share_up_to_0(draws), _share_up_to_0(-draws[::-1]))
    # Draws tell no smaller tail than one of them; with few subjects the interval's own tail is smaller still.
    tail = max(tail, min(1 / len(draws), expanded_tail(n_subjects) / 2))
    t = stats.norm.ppf(tail) * math.sqrt((n_subjects - 1) / n_subjects)
    return float(min(1.0, 2 * stats.t.cdf(t, n_subjects - 1)))


def _share_up_to_0(ordered: np.ndarray) -> float:
    """Return at which quantile of sorted draws 0 lies, between two of them as ``np.quantile`` does; 0 if all are above it."""
    count = int(np.searchsorted(ordered, 0.0, side="right"))
    if count in (0, len(ordered)):
        return float(count > 0)
    last, following = ordered[count - 1 : count + 1]
    return float((count - 1 - last / (following - last)) / (len(ordered) - 1))


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
