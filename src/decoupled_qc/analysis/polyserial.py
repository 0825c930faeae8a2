"""Correlation of a score with the quality that a rating of few levels stands for."""

import numpy as np
from scipy import special

from decoupled_qc.analysis.resampling import Ranks

MOST = 3.8  # of |atanh rho|: |rho| = 0.999, where the score tells all levels apart
PRECISION = 1e-4  # of atanh rho
MOST_STEPS = 40
END = 10.0  # standard deviations that stand for infinity


class WeightedPolyserial:
    """The polyserial correlation under many integer weightings, that is, under many bootstrap draws.

    The rating is taken for a normal quality cut into levels, and this for its correlation with the score. Four levels in place of
    a scale, or most scans in one of them, weaken Spearman's rho but not this. Of a scan with score z and rating j

    P(j | z) = Phi((t_j - rho z) / sqrt(1 - rho^2)) - Phi((t_{j-1} - rho z) / sqrt(1 - rho^2)),

    t_j the normal quantile of the share of ratings up to j, and z that of (rank - 1/2) / n, put to a variance of 1: any rising
    function of the score gives the same. Both are taken anew in each draw, then rho maximises the likelihood.

    Source: Olsson, Drasgow & Dorans 1982, Psychometrika 47:337, the two-step estimate.
    """

    def __init__(self, score: np.ndarray, rating: np.ndarray):
        """Sort once.

        Args:
            score: (n,) float, finite.
            rating: (n,) float, finite; a few levels, the rating of one person or the mean of some.
        """
        self._ranks, self._level = Ranks(score), np.unique(rating, return_inverse=True)[1]
        self._start = 0.0  # of atanh rho; then that of all scans, to which every draw's is near
        of_all = self(np.ones((1, len(self._level))))[0]
        self._start = float(np.arctanh(of_all)) if np.isfinite(of_all) else 0.0

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """Return rho for each row of weights; NaN where the score or the rating is constant in that draw.

        Args:
            weights: (draws, n) float, how often each scan occurs in each draw, >= 0.

        Returns:
            (draws,) float in [-0.999, 0.999] or NaN.
        """
        counts, n = weights.T, weights.sum(axis=1)
        z = special.ndtri(np.where(counts > 0, self._ranks(weights) / n + 0.5, 0.5))
        spread = np.einsum("nd,nd,nd->d", counts, z, z) / n
        of_level = np.array([counts[self._level == level].sum(axis=0) for level in range(self._level.max() + 1)])
        known = (spread > 0) & ((of_level > 0).sum(axis=0) > 1)
        z /= np.sqrt(np.where(known, spread, 1))
        cuts = special.ndtri(np.cumsum(of_level, axis=0) / n).clip(-END, END)
        below, above = np.vstack([np.full_like(n, -END), cuts[:-1]])[self._level], cuts[self._level]

        found = np.full(len(n), np.nan)
        parts = (part[:, known] for part in (below, above, z, counts))
        found[known] = np.tanh(_most_likely(*parts, self._start))
        return found


def _most_likely(below: np.ndarray, above: np.ndarray, z: np.ndarray, counts: np.ndarray, start: float) -> np.ndarray:
    """Return (draws,) atanh rho of the highest likelihood, by steps of the slope over its squares' sum, the information.

    A step that would leave what is left to search goes to its middle.

    Args:
        below, above: (n, draws), the cuts around each scan's rating.
        z: (n, draws), each scan's score.
        counts: (n, draws), how often each scan occurs.
        start: Where to begin.
    """
    fisher_z, low, high = (np.full(z.shape[1], value) for value in (start, -MOST, MOST))
    draws = np.arange(z.shape[1])  # that are still moving
    for _ in range(MOST_STEPS):
        if not len(draws):
            break
        at, of_draw = fisher_z[draws], counts[:, draws]
        slope = np.where(of_draw > 0, _slope(below[:, draws], above[:, draws], z[:, draws], at), 0)
        total = np.einsum("nd,nd->d", of_draw, slope)
        step = total / np.maximum(np.einsum("nd,nd,nd->d", of_draw, slope, slope), np.finfo(float).tiny)
        low[draws], high[draws] = np.where(total > 0, [at, high[draws]], [low[draws], at])
        inside = (at + step > low[draws]) & (at + step < high[draws])
        fisher_z[draws] = np.where(inside, at + step, (low[draws] + high[draws]) / 2)
        draws = draws[np.abs(fisher_z[draws] - at) > PRECISION]
    return fisher_z


def _slope(below: np.ndarray, above: np.ndarray, z: np.ndarray, fisher_z: np.ndarray) -> np.ndarray:
    """Return the slope of each scan's log-likelihood over atanh rho, (n, draws).

    With rho = tanh f, (t - rho z) / sqrt(1 - rho^2) = t cosh f - z sinh f.

    Args:
        below, above, z: As for :func:`_most_likely`.
        fisher_z: (draws,), f.
    """
    lower, upper = (cut * np.cosh(fisher_z) - z * np.sinh(fisher_z) for cut in (below, above))
    lower_slope, upper_slope = (cut * np.sinh(fisher_z) - z * np.cosh(fisher_z) for cut in (below, above))
    # Mirrored where most of the level lies above 0: differences of Phi have no digits there.
    mirrored = lower + upper > 0
    lower, upper = np.where(mirrored, [-upper, -lower], [lower, upper])
    lower_slope, upper_slope = np.where(mirrored, [-upper_slope, -lower_slope], [lower_slope, upper_slope])
    log_upper = special.log_ndtr(upper)
    log_share = log_upper + np.log(-np.expm1(np.minimum(special.log_ndtr(lower) - log_upper, -1e-12)))
    at_lower, at_upper = (np.exp(-(place**2) / 2 - log_share) / np.sqrt(2 * np.pi) for place in (lower, upper))
    return at_upper * upper_slope - at_lower * lower_slope
