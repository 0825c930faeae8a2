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

    def __init__(self, score: np.ndarray | Ranks, rating: np.ndarray):
        """Sort once.

        Args:
            score: (n,) float, finite; or its ranks.
            rating: (n,) float, finite; a few levels, the rating of one person or the mean of some.
        """
        self._ranks = score if isinstance(score, Ranks) else Ranks(score)
        self._level = np.unique(rating, return_inverse=True)[1]
        self._start = 0.0
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

        # Steps of the slope over its squares' sum, which is the information; halved where one leaves what is left to search.
        fisher_z, low, high = (np.full_like(n, value) for value in (self._start, -MOST, MOST))
        open_draws = np.flatnonzero(known)
        for _ in range(MOST_STEPS):
            if not len(open_draws):
                break
            at, of_draw = fisher_z[open_draws], counts[:, open_draws]
            slope = _slope(below[:, open_draws], above[:, open_draws], z[:, open_draws], at)
            slope = np.where(of_draw > 0, slope, 0)
            total = np.einsum("nd,nd->d", of_draw, slope)
            step = total / np.maximum(np.einsum("nd,nd,nd->d", of_draw, slope, slope), np.finfo(float).tiny)
            low[open_draws], high[open_draws] = (
                np.where(total > 0, at, low[open_draws]),
                np.where(total > 0, high[open_draws], at),
            )
            inside = (at + step > low[open_draws]) & (at + step < high[open_draws])
            fisher_z[open_draws] = np.where(inside, at + step, (low[open_draws] + high[open_draws]) / 2)
            open_draws = open_draws[np.abs(fisher_z[open_draws] - at) > PRECISION]
        return np.where(known, np.tanh(fisher_z), np.nan)


def _slope(below: np.ndarray, above: np.ndarray, z: np.ndarray, fisher_z: np.ndarray) -> np.ndarray:
    """Return the slope of each scan's log-likelihood over atanh rho, in which the arguments of Phi are t cosh - z sinh."""
    first, second = (cut * np.cosh(fisher_z) - z * np.sinh(fisher_z) for cut in (below, above))
    first_slope, second_slope = (cut * np.sinh(fisher_z) - z * np.cosh(fisher_z) for cut in (below, above))
    # Mirrored where most of it lies above 0: Phi has no digits there.
    mirrored = first + second > 0
    first, second = np.where(mirrored, -second, first), np.where(mirrored, -first, second)
    first_slope, second_slope = (
        np.where(mirrored, -second_slope, first_slope),
        np.where(mirrored, -first_slope, second_slope),
    )
    log_second = special.log_ndtr(second)
    log_share = log_second + np.log(-np.expm1(np.minimum(special.log_ndtr(first) - log_second, -1e-12)))
    densities = (np.exp(-(place**2) / 2 - log_share) / np.sqrt(2 * np.pi) for place in (first, second))
    of_first, of_second = densities
    return of_second * second_slope - of_first * first_slope
