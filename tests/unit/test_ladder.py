import pytest

from decoupled_qc.training.ladder import Ladder


def ladder(**changes):
    settings = dict(
        epsilon=0.05, learning_rate=1e-4, halvings=6, smoothing=0.99, check_every=250, patience=1500,
        min_improvement=1e-3, min_interval=2000, finish_by=24000,
    )  # fmt: skip
    return Ladder(**settings | changes)


def test_six_halvings_in_lockstep_bring_epsilon_below_a_thousandth():
    steps = ladder()
    moments = [step for step in range(1, 30001) if steps.update(step, 1.0)]
    assert len(moments) == 6
    assert steps.epsilon == pytest.approx(7.8125e-4) and steps.learning_rate == pytest.approx(1.5625e-6)
    assert min(b - a for a, b in zip(moments, moments[1:], strict=False)) >= 2000
    assert moments[-1] <= 24000


def test_a_falling_loss_is_halved_only_when_forced():
    steps = ladder()
    moments = [step for step in range(1, 30001) if steps.update(step, -0.01 * step)]
    assert moments == [4000, 8000, 12000, 16000, 20000, 24000]


def test_a_plateau_halves_before_it_is_forced_and_forgets_the_best():
    steps = ladder(smoothing=0.0, min_interval=500)
    losses = [1.0] * 3000 + [2.0] * 3000  # the second level is worse, so an old best would halve again at once
    moments = [step for step, loss in enumerate(losses, 1) if steps.update(step, loss)]
    # First check at 250, then 1,500 steps without improvement; the level at the check after the halving is a new best.
    assert moments[:2] == [1750, 3500]
