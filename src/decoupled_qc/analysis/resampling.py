"""Spearman correlation of scans that come in clusters (subjects): bootstrap and permutation, vectorised over draws."""

import math
from collections.abc import Callable, Iterator

import numpy as np
from scipy import stats

CELLS_AT_ONCE = (
    250_000  # draws x scans held at once: 2 MB a float64 array, which stays in the cache (3 to 5 times faster)
)

ONE_SUBJECT = "no interval: one subject"
ALL_ALIKE = "no interval: the same in every draw of subjects"
EXACT = "interval as wide as the exact one at least: all subjects at this end of the scale"
FEW_SUBJECTS = 6  # of fewer the exact interval of a share, all at one end, covers half of the scale and says nothing
TOO_FEW = f"no interval: fewer than {FEW_SUBJECTS} subjects"
MOST_MISSING = 0.05  # share of draws without a value from which on the interval says so
SHARE = (0.0, 1.0)  # the bounds of one


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Return Spearman's rho: Pearson's correlation of mid-ranks; NaN when one side is constant.

    Args:
        x: (n,) float, finite.
        y: (n,) float, finite.
    """
    return float(WeightedSpearman(x, y)(np.ones((1, len(x))))[0])


def keeping_last(function: Callable) -> Callable:
    """Return a function that keeps its last result for as long as it is called with the very same objects."""
    known: list[tuple] = []

    def call(*arguments: np.ndarray) -> object:
        if not known or any(old is not new for old, new in zip(known[0][0], arguments, strict=True)):
            known[:] = [(arguments, function(*arguments))]
        return known[0][1]

    return call


class Ranks:
    """Centred mid-ranks of one variable under many weightings; those asked for last are kept, for statistics that share it."""

    def __init__(self, values: np.ndarray, given: np.ndarray | None = None):
        """Sort once.

        Args:
            values: (n,) float, finite.
            given: (n,) kind of each scan; then it is ranks less the mean rank of their kind.
        """
        self._order = _tie_groups(np.asarray(values, dtype=float))
        self._by_kind = None if given is None else _tie_groups(np.unique(given, return_inverse=True)[1])
        self._ranks = keeping_last(self._rank)

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """Return (n, draws) ranks less their mean, or that of their kind, for weights (draws, n)."""
        return self._ranks(weights)

    def _rank(self, weights: np.ndarray) -> np.ndarray:
        counts = weights.T
        ranks = _mid_ranks(counts, *self._order)
        if self._by_kind is None:
            ranks -= (counts.sum(axis=0) + 1) / 2
        else:
            order, starts, kind = self._by_kind
            inside = np.maximum(np.add.reduceat(counts[order], starts, axis=0), 1)
            ranks -= (np.add.reduceat((counts * ranks)[order], starts, axis=0) / inside)[kind]
        return ranks


class WeightedSpearman:
    """Spearman's rho of the same scans under many integer weightings, that is, under many bootstrap draws.

    A draw in which scan i occurs w_i times has mid-ranks that follow from cumulative sums of w in the order
    of the values, so ranks are recomputed exactly in each draw and nothing is sorted more than once:
    rank of a tie group = (weight before it) + (weight inside it + 1) / 2. Cost O(draws x scans).
    """

    def __init__(self, x: np.ndarray | Ranks, y: np.ndarray | Ranks):
        """Sort both sides once.

        Args:
            x, y: (n,) float, finite; or their ranks, to share them, or those less the mean rank of a kind, for a partial rho.
        """
        self._sides = [side if isinstance(side, Ranks) else Ranks(side) for side in (x, y)]

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """Return rho for each row of weights; NaN where a side is constant in that draw.

        Args:
            weights: (draws, n) float, how often each scan occurs in each draw, >= 0.

        Returns:
            (draws,) float in [-1, 1] or NaN.
        """
        counts = weights.T  # (n, draws), contiguous as subject_draws makes it: all that follows moves whole rows
        x, y = (side(weights) for side in self._sides)
        weighted = counts * x
        covariance = np.einsum("nb,nb->b", weighted, y)
        spread = np.einsum("nb,nb->b", weighted, x) * np.einsum("nb,nb,nb->b", counts, y, y)
        rho = np.full(len(weights), np.nan)
        np.divide(covariance, np.sqrt(spread), out=rho, where=spread > 1e-9)
        return np.clip(rho, -1.0, 1.0)


class WeightedTau:
    """Kendall's tau-b with a target of few levels, such as a rating, under many integer weightings.

    tau-b = (concordant - discordant pairs) / sqrt(pairs that differ in x * pairs that differ in the target). Cost
    O(levels x draws x scans).
    """

    def __init__(self, x: np.ndarray, target: np.ndarray):
        """Sort once.

        Args:
            x, target: (n,) float, finite.
        """
        self._order, self._starts, group = _tie_groups(np.asarray(x, dtype=float))
        self._group = group[self._order]
        self._level = np.unique(target, return_inverse=True)[1][self._order]

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """Return tau-b for each row of weights; NaN where a side is constant in that draw.

        Args:
            weights: (draws, n) float, how often each scan occurs in each draw, >= 0.

        Returns:
            (draws,) float in [-1, 1] or NaN.
        """
        counts = weights.T[self._order]
        surplus = np.zeros(len(weights))  # concordant less discordant pairs
        below = np.zeros_like(counts)  # weight of scans of lower levels
        of_level = []
        for level in range(self._level.max() + 1):
            own = self._level == level
            lower = np.add.reduceat(below, self._starts, axis=0)
            up_to = np.cumsum(lower, axis=0)
            balance = 2 * up_to - lower - up_to[-1]  # lower levels with smaller x, less those with larger x
            surplus += np.einsum("nd,nd->d", counts[own], balance[self._group[own]])
            below[own] = counts[own]
            of_level.append(counts[own].sum(axis=0))
        total = counts.sum(axis=0) ** 2
        differ = total - (np.add.reduceat(counts, self._starts, axis=0) ** 2).sum(axis=0)
        differ *= total - (np.array(of_level) ** 2).sum(axis=0)
        tau = np.full(len(weights), np.nan)
        return np.divide(2 * surplus, np.sqrt(np.maximum(differ, 0)), out=tau, where=differ > 0)


def _tie_groups(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the sorting order, where each group of equal values starts in it, and each scan's group."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    group = np.empty(len(values), dtype=int)
    group[order] = np.searchsorted(starts, np.arange(len(values)), side="right") - 1
    return order, starts, group


def _mid_ranks(counts: np.ndarray, order: np.ndarray, starts: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return (n, draws) mid-ranks of each scan in each draw."""
    inside = counts[order]
    if len(starts) < len(order):
        inside = np.add.reduceat(inside, starts, axis=0)
    ranks = np.cumsum(inside, axis=0)
    ranks -= (inside - 1) / 2  # weight before the group + (weight inside it + 1) / 2
    return ranks[group]


def subject_draws(subjects: np.ndarray, n_boot: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield scan weights of a cluster bootstrap: whole subjects drawn with replacement.

    Source: Field & Welsh 2007, J. R. Statist. Soc. B 69:369.

    Args:
        subjects: (n,) subject of each scan, any hashable.
        n_boot: Number of draws, in all.
        rng: Generator the subjects are drawn from.

    Yields:
        (draws, n) float weights, in chunks that fit in memory.
    """
    _, subject = np.unique(subjects, return_inverse=True)
    for counts in _subject_counts(subject.max() + 1, n_boot, len(subject), rng):
        yield counts.T[subject].T  # laid out scan by scan, which is what the statistics read fastest


def _subject_counts(n_subjects: int, n_boot: int, row_length: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield how often each subject occurs in each draw, (draws, subjects) float, in chunks for rows of that length."""
    chunk = max(1, CELLS_AT_ONCE // row_length)
    for first in range(0, n_boot, chunk):
        size = min(chunk, n_boot - first)
        # Five times faster than the generator's multinomial, which draws one binomial after the other.
        drawn = rng.integers(n_subjects, size=(size, n_subjects)) + n_subjects * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * n_subjects).reshape(size, n_subjects).astype(float)


def leave_one_out(subjects: np.ndarray) -> Iterator[np.ndarray]:
    """Yield scan weights that leave out one whole subject after the other, for the jackknife.

    Args:
        subjects: (n,) subject of each scan, any hashable.

    Yields:
        (subjects, n) float weights 0 or 1, in chunks as :func:`subject_draws` has them.
    """
    _, subject = np.unique(subjects, return_inverse=True)
    n_subjects = subject.max() + 1
    chunk = max(1, CELLS_AT_ONCE // len(subject))
    for first in range(0, n_subjects, chunk):
        out = np.arange(first, min(first + chunk, n_subjects))
        yield (subject[:, None] != out).astype(float).T


def percentile_interval(draws: np.ndarray, n_subjects: int) -> tuple[float, float]:
    """Return the 95 % expanded percentile interval of the draws in which the statistic exists; NaN if it never does.

    Its ends are the quantiles a and 1 - a, a = Phi(-sqrt(n / (n - 1)) t), t the 97.5 % quantile of Student's t with
    n - 1 degrees of freedom: 2.5 % for many subjects, 1.8 % for 28, 1.1 % for 12, 0.6 % for 8. A plain percentile interval is
    too narrow with few subjects, as an interval of a mean would be with normal in place of t quantiles.
    ``benchmarks/coverage.py`` compares it with BCa, a studentised interval, and the plain one.

    Args:
        draws: (n_boot,) float, NaN where the statistic does not exist in a draw.
        n_subjects: Number of subjects that were drawn from, at least 2.

    Source: Hesterberg 2015, Am. Stat. 69:371.
    """
    draws = draws[np.isfinite(draws)]
    if not len(draws):
        return math.nan, math.nan
    tail = expanded_tail(n_subjects)
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def expanded_tail(n_subjects: int) -> float:
    """Return the share of draws beyond either end of :func:`percentile_interval`.

    Args:
        n_subjects: At least 2.
    """
    expanded = math.sqrt(n_subjects / (n_subjects - 1)) * stats.t.ppf(0.975, n_subjects - 1)
    return float(stats.norm.cdf(-expanded))


def stated_interval(
    draws: np.ndarray, n_subjects: int, estimate: float = math.nan, bounds: tuple[float, float] | None = None
) -> tuple[float, float, str]:
    """Return the interval of :func:`percentile_interval` with a note, never one of no width: that all are alike proves nothing.

    Of a mean over subjects whose values have bounds, the estimate being at one of these, the interval reaches at least as far
    as the exact one of n subjects: were the mean m away, in units of the range, at least a share m of subjects would be off
    that end, and none of n is with a probability of at most (1 - m)^n (Clopper & Pearson 1934, Biometrika 26:404, for 0 of n).

    Args:
        draws, n_subjects: As for :func:`percentile_interval`; NaN of fewer than two subjects.
        estimate: Of the whole sample; needed with bounds.
        bounds: The least and the most that a subject's value can be, if the statistic is such a mean; it then has no interval of
            fewer than :data:`FEW_SUBJECTS`, so that a mean at an end and one beside it are told alike.

    Returns:
        Both ends, NaN if there is none; and why, or that the exact interval counts, or how many draws have no value if many.
    """
    if n_subjects < 2:
        return math.nan, math.nan, ONE_SUBJECT if n_subjects else ""
    if bounds and n_subjects < FEW_SUBJECTS:
        return math.nan, math.nan, TOO_FEW
    low, high = percentile_interval(draws, n_subjects)
    if math.isnan(low):
        return low, high, ""
    missing = float(np.isnan(draws).mean())
    notes = [f"no value in {100 * missing:.0f} % of draws"] if missing > MOST_MISSING else []
    for end, other in (bounds, bounds[::-1]) if bounds else ():
        if abs(estimate - end) < 1e-9:
            furthest = end + (other - end) * (1 - 0.025 ** (1 / n_subjects))
            return min(low, end, furthest), max(high, end, furthest), "; ".join([EXACT, *notes])
    if high - low <= 1e-9:
        return math.nan, math.nan, ALL_ALIKE
    return low, high, "; ".join(notes)


def bca_interval(draws: np.ndarray, estimate: float, jackknife: np.ndarray) -> tuple[float, float]:
    """Return the 95 % bias-corrected and accelerated interval; NaN if the statistic exists in no draw or is the same in all.

    Args:
        draws: (n_boot,) float, NaN where the statistic does not exist in a draw.
        estimate: Of the whole sample.
        jackknife: (n_subjects,) float, the statistic without each subject, see :func:`leave_one_out`.

    Source: Efron 1987, JASA 82:171; the acceleration from whole subjects.
    """
    draws, jackknife = draws[np.isfinite(draws)], jackknife[np.isfinite(jackknife)]
    if not len(draws) or np.ptp(draws) < 1e-9:
        return math.nan, math.nan
    below = ((draws < estimate).sum() + 0.5 * (draws == estimate).sum() + 0.5) / (len(draws) + 1)
    bias = stats.norm.ppf(below)
    from_mean = jackknife.mean() - jackknife if len(jackknife) else np.zeros(1)
    spread = (from_mean**2).sum() ** 1.5
    acceleration = (from_mean**3).sum() / (6 * spread) if spread > 0 else 0.0
    ends = bias + stats.norm.ppf([0.025, 0.975])
    low, high = np.quantile(draws, stats.norm.cdf(bias + ends / (1 - acceleration * ends)))
    return float(low), float(high)


def mean_interval(
    values: np.ndarray,
    subjects: np.ndarray,
    n_boot: int,
    rng: np.random.Generator,
    bounds: tuple[float, float] | None = None,
) -> tuple[float, float, str]:
    """Return the 95 % subject-bootstrap interval of a mean over scans, and a note, as :func:`stated_interval` does.

    Args:
        values: (n,) float, finite.
        subjects: (n,) subject of each scan.
        n_boot: Number of draws.
        rng: Generator the subjects are drawn from.
        bounds: The least and the most that a value can be, if there are such.
    """
    _, subject, sizes = np.unique(subjects, return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        return stated_interval(np.array([]), len(sizes))
    totals = np.bincount(subject, weights=values)
    counts = _subject_counts(len(sizes), n_boot, len(sizes), rng)
    draws = [(of_draw @ totals) / (of_draw @ sizes) for of_draw in counts]
    return stated_interval(np.concatenate(draws), len(sizes), float(totals.sum() / sizes.sum()), bounds)


def permutation_p(
    x: np.ndarray, y: np.ndarray, subjects: np.ndarray, n_permutations: int, rng: np.random.Generator
) -> np.ndarray:
    """Return the two-sided p of Spearman's rho by permuting at two levels: whole subjects, and scans inside each.

    A subject's targets are moved as one block to another subject with as many scans, and the scans inside each
    block are permuted too. What all scans of a subject share stays together, so clustered scans are not taken
    for independent ones. p = (1 + #{|rho*| >= |rho|}) / (1 + permutations). Valid when, under the null
    hypothesis, the scans of a subject are exchangeable. Source: Winkler et al. 2015, NeuroImage 123:253.

    Args:
        x: (n,) or (n, k) float, one score or k of them, all under the same permutations.
        y: (n,) float, the target.
        subjects: (n,) subject of each scan.
        n_permutations: Number of random permutations.
        rng: Generator the permutations are drawn from.

    Returns:
        A number or (k,).
    """
    ranks_x, ranks_y = (stats.rankdata(side, axis=0) - (len(y) + 1) / 2 for side in (x, y))
    observed = np.abs(ranks_y @ ranks_x)
    names, subject, sizes = np.unique(subjects, return_inverse=True, return_counts=True)
    by_subject = np.split(np.argsort(subject, kind="stable"), np.cumsum(sizes)[:-1])
    blocks = [np.array([by_subject[i] for i in range(len(names)) if sizes[i] == size]) for size in np.unique(sizes)]
    extreme = np.zeros(observed.shape)
    chunk = max(1, CELLS_AT_ONCE // len(x))
    for first in range(0, n_permutations, chunk):
        size = min(chunk, n_permutations - first)
        products = np.zeros((size, *observed.shape))
        for block in blocks:  # (subjects, scans of each), the same number of scans in a block
            moved = rng.permuted(np.broadcast_to(ranks_y[block], (size, *block.shape)), axis=2)
            order = rng.permuted(np.broadcast_to(np.arange(len(block)), (size, len(block))), axis=1)
            moved = np.take_along_axis(moved, order[:, :, None], axis=1)
            products += moved.reshape(size, -1) @ ranks_x[block.ravel()]
        # Rank products are multiples of 1/4: the margin only absorbs rounding of sums of equal value.
        extreme += np.sum(np.abs(products) >= observed - 1e-6, axis=0)
    return (1 + extreme) / (1 + n_permutations)
