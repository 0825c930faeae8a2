"""How useful a ranking of scans by a score is: risk-coverage and failure detection, vectorised over bootstrap draws."""

import numpy as np

from decoupled_qc.analysis.resampling import keeping_last


class WeightedRanking:
    """Scans ranked from trusted to distrusted, under many integer weightings (bootstrap draws) at once.

    Equal scores form a group. Inside a group any order is as good as another, so each measure is its mean over all
    orders; repeated scans of a draw are such ties too.
    """

    def __init__(self, distrust: np.ndarray):
        """Sort once.

        Args:
            distrust: (n,) float, finite; higher means that the scan is trusted less.
        """
        distrust = np.asarray(distrust, dtype=float)
        self._order = np.argsort(distrust, kind="stable")
        ordered = distrust[self._order]
        first = np.r_[True, ordered[1:] != ordered[:-1]]
        self._starts, self._group = np.flatnonzero(first), np.cumsum(first) - 1
        # Measures of the same draws, asked for one after the other, share these sums.
        self._scans, self._lost = keeping_last(self._sum_scans), keeping_last(self._sum_losses)
        self._failed = keeping_last(self._sum_failures)

    def aurc(self, weights: np.ndarray, loss: np.ndarray) -> np.ndarray:
        """Return the area under the risk-coverage curve, mean over coverages i/n of the mean loss of the i most trusted scans.

        Higher is worse. A group of m equal scores after weight A and loss S, with mean loss g, adds
        sum_t (S + t g) / (A + t) = m g + (S - A g) (H(A + m) - H(A)), H the harmonic numbers.

        Args:
            weights: (draws, n), how often each scan occurs in each draw, whole numbers.
            loss: (n,), >= 0, for example 1 - Dice.

        Source: Geifman & El-Yaniv 2017; Jaeger et al. 2023.
        """
        inside, up_to = self._scans(weights)
        lost, lost_up_to = self._lost(weights, loss)
        harmonic = np.r_[0.0, np.cumsum(1 / np.arange(1, int(up_to[-1].max()) + 1))]
        steps = np.diff(harmonic[up_to.astype(int)], axis=0, prepend=0.0)
        if len(self._starts) == len(self._order):
            mean_loss = loss[self._order, None]
        else:
            mean_loss = np.divide(lost, inside, out=np.zeros_like(lost), where=inside > 0)
        rest = lost_up_to - lost
        rest -= (up_to - inside) * mean_loss
        return (lost_up_to[-1] + _products(rest, steps)) / up_to[-1]

    def augrc(self, weights: np.ndarray, loss: np.ndarray) -> np.ndarray:
        """Return the area under the generalised risk-coverage curve: mean over coverages i/n of the accepted loss over n.

        Higher is worse. It is the mean loss that goes undetected, and unlike AURC it does not overweigh the few most
        trusted scans. A group of m equal scores with loss s after loss S adds m S + s (m + 1) / 2.

        Args:
            weights, loss: As for :meth:`aurc`.

        Source: Traub et al. 2024, arXiv 2407.01032.
        """
        inside, up_to = self._scans(weights)
        lost, lost_up_to = self._lost(weights, loss)
        area = _products(inside, lost_up_to) - _products(inside, lost) / 2 + lost_up_to[-1] / 2
        return area / up_to[-1] ** 2

    def risk_at(self, weights: np.ndarray, loss: np.ndarray, coverage: float) -> np.ndarray:
        """Return the mean loss of the share ``coverage`` of scans that is trusted most, rounded up to whole scans.

        Higher is worse.

        Args:
            weights, loss: As for :meth:`aurc`.
            coverage: (0, 1].
        """
        inside, up_to = self._scans(weights)
        lost, lost_up_to = self._lost(weights, loss)
        wanted = np.ceil(coverage * up_to[-1] - 1e-9)
        last = (up_to < wanted).sum(axis=0)[None]  # the group that the wanted number of scans ends in
        group, end, group_lost, lost_end = (
            np.take_along_axis(sums, last, axis=0)[0] for sums in (inside, up_to, lost, lost_up_to)
        )
        return (lost_end - (end - wanted) * group_lost / group) / wanted

    def curve(self, loss: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return coverage i/n and the mean loss of the i most trusted scans, for i = 1..n, one draw.

        Args:
            loss: (n,), >= 0.
        """
        once = np.ones((1, len(loss)))
        inside, lost = self._scans(once)[0][:, 0], self._lost(once, loss)[0][:, 0]
        before, lost_before = np.cumsum(inside) - inside, np.cumsum(lost) - lost
        count = np.arange(1, len(loss) + 1)
        accepted = lost_before[self._group] + (count - before[self._group]) * (lost / inside)[self._group]
        return count / len(loss), accepted / count

    def auroc(self, weights: np.ndarray, failed: np.ndarray) -> np.ndarray:
        """Return the probability that a failed scan is distrusted more than a good one, ties counted half.

        Higher is better, 0.5 is chance; NaN in a draw without both kinds.

        Args:
            weights: As for :meth:`aurc`.
            failed: (n,), boolean.
        """
        bad, bad_up_to, inside, up_to, total = self._failed(weights, failed)
        trusted_more = (up_to - inside) - (bad_up_to - bad)  # good scans
        wins = _products(bad, trusted_more + (inside - bad) / 2)
        return _ratio(wins, bad.sum(axis=0) * (total - bad.sum(axis=0)))

    def auprc(self, weights: np.ndarray, failed: np.ndarray) -> np.ndarray:
        """Return the average precision in finding failed scans among the most distrusted; higher is better.

        Chance is the share that failed; NaN in a draw without both kinds.

        Args:
            weights, failed: As for :meth:`auroc`.
        """
        bad, bad_up_to, inside, up_to, total = self._failed(weights, failed)
        n_bad = bad.sum(axis=0)
        found, alarms = n_bad - bad_up_to + bad, total - up_to + inside
        precision = np.divide(found, alarms, out=np.zeros_like(found), where=alarms > 0)
        return np.where(total > n_bad, _ratio(_products(precision, bad), n_bad), np.nan)

    def fpr_at_95_tpr(self, weights: np.ndarray, failed: np.ndarray) -> np.ndarray:
        """Return the share of good scans flagged at the strictest threshold that finds 95 % of the failed ones.

        Higher is worse; NaN in a draw without both kinds.

        Args:
            weights, failed: As for :meth:`auroc`.
        """
        bad, bad_up_to, inside, up_to, total = self._failed(weights, failed)
        n_bad = bad.sum(axis=0)
        if not len(bad):
            return np.full(len(weights), np.nan)
        found, alarms = n_bad - bad_up_to + bad, total - up_to + inside
        strictest = len(bad) - 1 - np.argmax(found[::-1] >= 0.95 * n_bad - 1e-9, axis=0)[None]
        false = np.take_along_axis(alarms - found, strictest, axis=0)[0]
        return np.where(n_bad > 0, _ratio(false, total - n_bad), np.nan)

    def _sum_scans(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (groups, draws) weight inside each group of equal scores, most trusted first, and up to its end."""
        inside = self._in_groups(weights.T[self._order])  # whole rows, as subject_draws lays them out
        return inside, np.cumsum(inside, axis=0)

    def _sum_losses(self, weights: np.ndarray, loss: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (groups, draws) loss inside each group and up to its end."""
        lost = self._in_groups(weights.T[self._order] * loss[self._order, None])
        return lost, np.cumsum(lost, axis=0)

    def _sum_failures(self, weights: np.ndarray, failed: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return failed weight inside each group and up to its end, all weight likewise, and the total of all weight.

        Only for groups with a failed scan, since the others decide nothing: (groups, draws); the total is (draws,).
        """
        inside, up_to = self._scans(weights)
        place = np.flatnonzero(failed[self._order])
        group, starts = np.unique(self._group[place], return_index=True)
        bad = weights.T[self._order[place]]
        if len(group) < len(place):
            bad = np.add.reduceat(bad, starts, axis=0)
        return bad, np.cumsum(bad, axis=0), inside[group], up_to[group], up_to[-1]

    def _in_groups(self, ordered: np.ndarray) -> np.ndarray:
        """Return sums over the scans of each group of equal scores."""
        return np.add.reduceat(ordered, self._starts, axis=0) if len(self._starts) < len(ordered) else ordered


def _products(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return (draws,) sums of products over groups."""
    return np.einsum("gd,gd->d", first, second)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return numerator / denominator, NaN where that is 0 / 0."""
    return np.divide(numerator, denominator, out=np.full(len(numerator), np.nan), where=denominator > 0)
