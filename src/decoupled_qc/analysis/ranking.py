"""How useful a ranking of scans by a score is: risk-coverage and failure detection, vectorised over bootstrap draws."""

import numpy as np


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
        self._starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        self._last: list[tuple[tuple, np.ndarray]] = []

    def _grouped(self, weights: np.ndarray, amount: np.ndarray | None = None) -> np.ndarray:
        """Return (draws, groups) sums of weights, or of weights x amount, over equal scores, most trusted first.

        The last few sums are kept, since several measures of the same draws need the same ones.
        """
        for (known_weights, known_amount), sums in self._last:
            if known_weights is weights and known_amount is amount:
                return sums
        ordered = weights.T[self._order]  # whole rows, as subject_draws lays them out
        if amount is not None:
            ordered *= amount[self._order, None]
        if len(self._starts) < len(self._order):
            ordered = np.add.reduceat(ordered, self._starts, axis=0)
        self._last = [*self._last[-2:], ((weights, amount), ordered.T)]
        return ordered.T

    def _weights_and_losses(self, weights: np.ndarray, loss: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the weight and loss before each group and inside it."""
        inside, lost = self._grouped(weights), self._grouped(weights, loss)
        return np.cumsum(inside, axis=1) - inside, inside, np.cumsum(lost, axis=1) - lost, lost

    def aurc(self, weights: np.ndarray, loss: np.ndarray) -> np.ndarray:
        """Return the area under the risk-coverage curve, mean over coverages i/n of the mean loss of the i most trusted scans.

        Higher is worse. A group of m equal scores after weight A and loss S, with mean loss g, adds
        sum_t (S + t g) / (A + t) = m g + (S - A g) (H(A + m) - H(A)), H the harmonic numbers.

        Args:
            weights: (draws, n), how often each scan occurs in each draw, whole numbers.
            loss: (n,), >= 0, for example 1 - Dice.

        Source: Geifman & El-Yaniv 2017; Jaeger et al. 2023.
        """
        before, inside, lost_before, lost = self._weights_and_losses(weights, loss)
        total = before[:, -1] + inside[:, -1]
        harmonic = np.r_[0.0, np.cumsum(1 / np.arange(1, int(total.max()) + 1))]
        mean_loss = np.divide(lost, inside, out=np.zeros_like(lost), where=inside > 0)
        steps = harmonic[(before + inside).astype(int)] - harmonic[before.astype(int)]
        return (lost + (lost_before - before * mean_loss) * steps).sum(axis=1) / total

    def augrc(self, weights: np.ndarray, loss: np.ndarray) -> np.ndarray:
        """Return the area under the generalised risk-coverage curve: mean over coverages i/n of the accepted loss over n.

        Higher is worse. It is the mean loss that goes undetected, and unlike AURC it does not overweigh the few most
        trusted scans.

        Args:
            weights, loss: As for :meth:`aurc`.

        Source: Traub et al. 2024, arXiv 2407.01032.
        """
        before, inside, lost_before, lost = self._weights_and_losses(weights, loss)
        total = before[:, -1] + inside[:, -1]
        return (inside * lost_before + lost * (inside + 1) / 2).sum(axis=1) / total**2

    def curve(self, loss: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return coverage i/n and the mean loss of the i most trusted scans, for i = 1..n, one draw.

        Args:
            loss: (n,), >= 0.
        """
        before, inside, lost_before, lost = (
            part[0] for part in self._weights_and_losses(np.ones((1, len(loss))), loss)
        )
        group = np.repeat(np.arange(len(inside)), inside.astype(int))
        count = np.arange(1, len(loss) + 1)
        accepted = lost_before[group] + (count - before[group]) * (lost / inside)[group]
        return count / len(loss), accepted / count

    def auroc(self, weights: np.ndarray, failed: np.ndarray) -> np.ndarray:
        """Return the probability that a failed scan is distrusted more than a good one, ties counted half.

        Higher is better, 0.5 is chance; NaN in a draw without both kinds.

        Args:
            weights: As for :meth:`aurc`.
            failed: (n,), boolean.
        """
        bad = self._grouped(weights, failed)
        good = self._grouped(weights) - bad
        wins = (bad * (np.cumsum(good, axis=1) - good / 2)).sum(axis=1)
        return _ratio(wins, bad.sum(axis=1) * good.sum(axis=1))

    def auprc(self, weights: np.ndarray, failed: np.ndarray) -> np.ndarray:
        """Return the average precision in finding failed scans among the most distrusted; higher is better.

        Chance is the share that failed; NaN in a draw without both kinds.

        Args:
            weights, failed: As for :meth:`auroc`.
        """
        found, alarms = self._alarms(weights, failed)
        precision = np.divide(found, alarms, out=np.zeros_like(found), where=alarms > 0)
        new = np.diff(found, axis=1, prepend=0.0)
        total = found[:, -1]
        average = _ratio((precision * new).sum(axis=1), total)
        return np.where(alarms[:, -1] > total, average, np.nan)

    def fpr_at_95_tpr(self, weights: np.ndarray, failed: np.ndarray) -> np.ndarray:
        """Return the share of good scans flagged at the strictest threshold that finds 95 % of the failed ones.

        Higher is worse; NaN in a draw without both kinds.

        Args:
            weights, failed: As for :meth:`auroc`.
        """
        found, alarms = self._alarms(weights, failed)
        total = found[:, -1:]
        first = np.argmax(found >= 0.95 * total - 1e-9, axis=1)[:, None]
        false = np.take_along_axis(alarms - found, first, axis=1)[:, 0]
        good = (alarms - found)[:, -1]
        return np.where(total[:, 0] > 0, _ratio(false, good), np.nan)

    def _alarms(self, weights: np.ndarray, failed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return failed scans found and all scans flagged at each threshold, from the strictest on."""
        found, flagged = (sums[:, ::-1] for sums in (self._grouped(weights, failed), self._grouped(weights)))
        return np.cumsum(found, axis=1), np.cumsum(flagged, axis=1)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return numerator / denominator, NaN where that is 0 / 0."""
    return np.divide(numerator, denominator, out=np.full(len(numerator), np.nan), where=denominator > 0)
