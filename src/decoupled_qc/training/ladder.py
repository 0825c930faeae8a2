"""The epsilon and learning-rate ladder: both halved together whenever the loss stops falling."""

from dataclasses import dataclass, field
from math import inf


@dataclass
class Ladder:
    """Halve epsilon and the learning rate in lockstep on plateaus, ``halvings`` times.

    The loss is smoothed by an exponential moving average; every ``check_every`` steps it is compared with the best so
    far. No improvement by ``min_improvement`` for ``patience`` steps halves both, then the best value is forgotten,
    because the floor of the loss, 1/2 log(epsilon), moves with epsilon. Halvings are at least ``min_interval`` steps
    apart, and forced evenly so that the last comes by ``finish_by``.

    Args:
        epsilon: Start of epsilon (0.05 in the paper).
        learning_rate: Start of the learning rate (1e-4 in the paper).
        halvings: 6 in the paper (epsilon ends below 1e-3).
        smoothing: Weight of the past in the moving average.
        check_every, patience, min_interval, finish_by: Steps.
        min_improvement: In units of the loss.

    Source: Shaw et al. 2020, p. 739; the plateau rule is our choice (nothing published).
    """

    epsilon: float
    learning_rate: float
    halvings: int
    smoothing: float
    check_every: int
    patience: int
    min_improvement: float
    min_interval: int
    finish_by: int
    done: int = field(default=0, init=False)
    _average: float | None = field(default=None, init=False)
    _best: float = field(default=inf, init=False)
    _best_step: int = field(default=0, init=False)
    _last_step: int = field(default=0, init=False)

    def update(self, step: int, loss: float) -> bool:
        """Take the loss of a step (1 is the first) and tell whether epsilon and the learning rate were halved."""
        past = loss if self._average is None else self._average
        self._average = self.smoothing * past + (1 - self.smoothing) * loss
        if self.done == self.halvings:
            return False
        due = step >= self.finish_by * (self.done + 1) / self.halvings
        if step % self.check_every and not due:
            return False
        if self._average < self._best - self.min_improvement:
            self._best, self._best_step = self._average, step
        waited = step - max(self._best_step, self._last_step) >= self.patience
        if not due and not (waited and step - self._last_step >= self.min_interval):
            return False
        self.epsilon /= 2
        self.learning_rate /= 2
        self.done += 1
        self._best, self._last_step = inf, step
        return True
