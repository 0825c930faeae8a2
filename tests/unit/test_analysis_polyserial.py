import numpy as np
import pytest
from scipy import optimize, stats

from decoupled_qc.analysis.polyserial import WeightedPolyserial
from decoupled_qc.analysis.resampling import percentile_interval, spearman, subject_draws


def drawn(rho, n, cuts, seed):
    """Scores and ratings: a bivariate normal pair, the second cut into levels."""
    rng = np.random.default_rng(seed)
    score, quality = rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], n).T
    return score, np.digitize(quality, cuts)


def once(score, rating):
    return float(WeightedPolyserial(score, rating)(np.ones((1, len(score))))[0])


@pytest.mark.parametrize("rho", [0.6, -0.85, 0.0])
def test_it_finds_the_correlation_behind_a_rating_that_most_scans_share(rho):
    score, rating = drawn(rho, 20_000, [0.5, 1.2, 2.0], seed=0)
    assert once(np.exp(score), rating) == pytest.approx(rho, abs=0.02)  # any rising function of the score
    assert abs(spearman(score, rating)) <= 0.82 * abs(rho) + 0.02


def test_it_maximises_the_likelihood_of_the_two_normals():
    """The probability of a rating beside a score, by differences of the bivariate normal distribution."""
    score, rating = drawn(0.5, 60, [-0.2, 0.9], seed=3)
    z = stats.norm.ppf((stats.rankdata(score) - 0.5) / 60)
    z /= np.sqrt(np.mean(z**2))
    cuts = np.r_[-9, stats.norm.ppf([np.mean(rating <= 0), np.mean(rating <= 1)]), 9]

    def loss(rho, step=1e-4):
        up_to = stats.multivariate_normal([0, 0], [[1, rho], [rho, 1]]).cdf
        density = [
            up_to([at + step, cuts[level + 1]])
            - up_to([at - step, cuts[level + 1]])
            - up_to([at + step, cuts[level]])
            + up_to([at - step, cuts[level]])
            for at, level in zip(z, rating, strict=True)
        ]
        return -np.log(density).sum()

    best = optimize.minimize_scalar(loss, bounds=(-0.9, 0.95), method="bounded", options={"xatol": 1e-5}).x
    assert once(score, rating) == pytest.approx(best, abs=5e-4)


def test_weights_are_repeated_scans():
    score, rating = drawn(0.7, 40, [0.0, 1.0], seed=1)
    again = np.r_[np.arange(40), 3, 3, 5]
    weights = np.bincount(again).astype(float)[None]
    assert WeightedPolyserial(score, rating)(weights)[0] == pytest.approx(once(score[again], rating[again]))


def test_a_score_that_tells_all_levels_apart_is_at_the_end_of_the_scale():
    rating = np.arange(60) // 20
    assert once(np.arange(60.0), rating) == pytest.approx(0.999, abs=1e-3)
    assert once(np.arange(60.0), -rating) == pytest.approx(-0.999, abs=1e-3)


def test_draws_without_a_second_level_or_a_second_score_have_no_value():
    score, rating = np.array([1.0, 2.0, 3.0, 3.0]), np.array([1.0, 1.0, 2.0, 1.0])
    weights = np.array([[1, 1, 0, 2], [0, 0, 2, 2], [1, 1, 1, 1]], dtype=float)
    found = WeightedPolyserial(score, rating)(weights)
    assert np.isnan(found[:2]).all() and np.isfinite(found[2])


def test_subject_intervals_hold_the_truth():
    held = 0
    for seed in range(100):
        score, rating = drawn(0.8, 40, [-0.5, 0.5, 1.2], seed)
        statistic = WeightedPolyserial(score, rating)
        chunks = subject_draws(np.arange(40), 200, np.random.default_rng(seed))
        low, high = percentile_interval(np.concatenate([statistic(weights) for weights in chunks]), 40)
        held += low <= 0.8 <= high
    assert held >= 88  # of 95 promised; 3 standard errors
