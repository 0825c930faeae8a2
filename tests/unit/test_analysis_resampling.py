import numpy as np
import pytest
from scipy import stats

from decoupled_qc.analysis.resampling import (
    WeightedSpearman,
    WeightedTau,
    bca_interval,
    leave_one_out,
    mean_interval,
    percentile_interval,
    permutation_p,
    spearman,
    stated_interval,
    subject_draws,
)


def clustered(rng, n_subjects, n_scans, rho, within):
    """Two normal variables with correlation rho; scans of a subject correlate by `within`."""
    mix = np.linalg.cholesky([[1, rho], [rho, 1]]).T
    shared = rng.normal(size=(n_subjects, 1, 2)) @ mix * np.sqrt(within)
    own = rng.normal(size=(n_subjects, n_scans, 2)) @ mix * np.sqrt(1 - within)
    x, y = (shared + own).reshape(-1, 2).T
    return x, y, np.repeat(np.arange(n_subjects), n_scans)


@pytest.mark.parametrize("ties", [False, True])
def test_spearman_equals_scipys(ties):
    rng = np.random.default_rng(0)
    for _ in range(20):
        x, y = rng.normal(size=(2, 37))
        if ties:
            x, y = x.round(), y.round()
        assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)


def test_each_draw_equals_spearman_of_the_repeated_scans():
    rng = np.random.default_rng(1)
    x, y, subjects = clustered(rng, 9, 4, -0.7, 0.5)
    x = x.round(1)  # ties, in the sample and by repetition
    weights = np.concatenate(list(subject_draws(subjects, 50, rng)))
    drawn = WeightedSpearman(x, y)(weights)
    for row, rho in zip(weights, drawn, strict=True):
        repeated = np.repeat(np.arange(len(x)), row.astype(int))
        assert rho == pytest.approx(stats.spearmanr(x[repeated], y[repeated]).statistic, abs=1e-12)


def test_tau_of_each_draw_equals_scipys_of_the_repeated_scans():
    rng = np.random.default_rng(12)
    x, y, subjects = clustered(rng, 9, 4, -0.7, 0.5)
    x, rating = x.round(1), np.digitize(y, [-1, 0, 1])  # ties on both sides
    weights = np.concatenate(list(subject_draws(subjects, 50, rng)))
    for row, tau in zip(weights, WeightedTau(x, rating)(weights), strict=True):
        repeated = np.repeat(np.arange(len(x)), row.astype(int))
        assert tau == pytest.approx(stats.kendalltau(x[repeated], rating[repeated]).statistic, abs=1e-12)
    assert np.isnan(WeightedTau(x, np.ones(36))(weights)).all()
    assert np.isnan(WeightedTau(np.ones(36), rating)(weights)).all()


def test_draws_take_whole_subjects():
    subjects = np.array(["b", "a", "b", "c", "a"])
    for row in np.concatenate(list(subject_draws(subjects, 40, np.random.default_rng(2)))):
        assert row[0] == row[2] and row[1] == row[4]
        assert row[0] + row[1] + row[3] == 3


def test_every_subject_is_drawn_once_on_average_and_independently():
    weights = np.concatenate(list(subject_draws(np.arange(20), 20_000, np.random.default_rng(13))))
    assert weights.sum(axis=1) == pytest.approx(20)
    assert weights.mean(axis=0) == pytest.approx(1, abs=0.03)
    assert weights.var(axis=0) == pytest.approx(19 / 20, abs=0.05)  # of a multinomial count


def test_constant_side_has_no_rho():
    assert np.isnan(spearman(np.ones(10), np.arange(10.0)))


def test_subject_interval_covers_where_the_naive_one_does_not():
    truth = 6 / np.pi * np.arcsin(-0.84 / 2)  # Spearman's rho of a bivariate normal
    covered, n = {"subject": 0, "naive": 0}, 250
    for seed in range(n):
        rng = np.random.default_rng(seed)
        x, y, subjects = clustered(rng, 28, 5, -0.84, 0.6)
        for kind, clusters in (("subject", subjects), ("naive", np.arange(len(x)))):
            statistic = WeightedSpearman(x, y)
            draws = np.concatenate([statistic(weights) for weights in subject_draws(clusters, 400, rng)])
            low, high = percentile_interval(draws, len(np.unique(clusters)))
            covered[kind] += low <= truth <= high
    assert covered["subject"] / n >= 0.90
    assert 0.72 <= covered["naive"] / n <= 0.85


@pytest.mark.parametrize("n_subjects", [8, 400])
def test_expanded_percentiles_of_a_mean_are_the_ends_of_students_interval(n_subjects):
    values = np.random.default_rng(9).normal(5, 2, n_subjects)
    low, high, note = mean_interval(values, np.arange(n_subjects), 40_000, np.random.default_rng(10))
    half = stats.t.ppf(0.975, n_subjects - 1) * values.std(ddof=1) / np.sqrt(n_subjects)
    # Exactly so for normal draws of the mean; those of few subjects have lighter tails.
    assert note == "" and high - low == pytest.approx(2 * half, rel=0.1 if n_subjects == 8 else 0.02)
    plain = np.ptp(
        np.quantile([np.random.default_rng(i).choice(values, n_subjects).mean() for i in range(2000)], [0.025, 0.975])
    )
    assert high - low > (1.2 if n_subjects < 10 else 0.97) * plain


def test_a_mean_over_one_subject_has_no_interval():
    low, high, note = mean_interval(np.arange(3.0), np.zeros(3), 50, np.random.default_rng(0))
    assert np.isnan([low, high]).all() and note == "no interval: one subject"


def test_subjects_that_are_all_alike_have_no_interval_of_no_width():
    subjects, rng = np.repeat(np.arange(6), 2), np.random.default_rng(0)
    for value, bounds in ((0.4, None), (0.4, (0.0, 1.0)), (1.0, None)):
        low, high, note = mean_interval(np.full(12, value), subjects, 50, rng, bounds)
        assert np.isnan([low, high]).all() and note == "no interval: the same in every draw of subjects"


@pytest.mark.parametrize(("value", "bounds"), [(0.0, (0.0, 1.0)), (1.0, (0.0, 1.0)), (1.0, (-1.0, 1.0))])
def test_subjects_all_at_an_end_of_the_scale_have_the_exact_interval(value, bounds):
    subjects = np.repeat(np.arange(6), 2)
    low, high, note = mean_interval(np.full(12, value), subjects, 50, np.random.default_rng(0), bounds)
    exact = stats.binomtest(0, 6).proportion_ci(0.95, "exact").high * (bounds[1] - bounds[0])
    assert (low, high) == pytest.approx((value, value + exact) if value == bounds[0] else (value - exact, value))
    assert note.startswith("interval as wide as the exact one")


def test_an_interval_of_draws_that_leave_the_end_of_the_scale_reaches_the_exact_one_too():
    """As where a share of 0 rests on a unit that is drawn anew: the draws are not alike."""
    draws, exact = np.r_[np.zeros(990), np.full(10, 0.02)], stats.binomtest(0, 12).proportion_ci(0.95, "exact").high
    assert stated_interval(draws, 12, 0.0, (0.0, 1.0))[:2] == pytest.approx((0, exact))
    assert stated_interval(1 - draws, 12, 1.0, (0.0, 1.0))[:2] == pytest.approx((1 - exact, 1))
    spread = np.linspace(0, 0.02, 1000)  # of an estimate that is not at the end
    low, high, note = stated_interval(spread, 12, 0.01, (0.0, 1.0))
    assert high == pytest.approx(0.02, abs=0.003) and note == ""


@pytest.mark.parametrize("value", [1.0, 0.9])
def test_a_mean_of_bounded_values_has_no_interval_of_fewer_than_six_subjects(value):
    values, rng = np.array([1.0, 1.0, 3 * value - 2]), np.random.default_rng(0)
    low, high, note = mean_interval(values, np.arange(3), 50, rng, bounds=(-1.0, 1.0))
    assert np.isnan([low, high]).all() and note == "no interval: fewer than 6 subjects"


def test_draws_without_a_value_are_stated_where_they_are_many():
    draws = np.r_[np.full(60, np.nan), np.linspace(0, 1, 940)]
    assert stated_interval(draws, 12)[2] == "no value in 6 % of draws"
    assert stated_interval(draws[20:], 12)[2] == ""


def test_bca_equals_scipys():
    rng = np.random.default_rng(11)
    values = rng.exponential(size=25)
    draws = rng.choice(values, (60_000, 25)).mean(axis=1)
    jackknife = np.array([np.delete(values, i).mean() for i in range(25)])
    theirs = stats.bootstrap((values,), np.mean, n_resamples=60_000, method="BCa", rng=rng).confidence_interval
    assert bca_interval(draws, values.mean(), jackknife) == pytest.approx(tuple(theirs), abs=0.01)
    for alike in (0.5, np.nan):
        assert np.isnan(bca_interval(np.full(9, alike), 0.5, np.full(4, 0.5))).all()


def test_leave_one_out_leaves_out_whole_subjects():
    weights = np.concatenate(list(leave_one_out(np.array(["b", "a", "b", "c"]))))
    assert weights.tolist() == [[1, 0, 1, 1], [0, 1, 0, 1], [1, 1, 1, 0]]


def test_permutation_keeps_its_level_under_clustering_and_finds_a_real_correlation():
    false_alarms, naive_alarms, n = 0, 0, 200
    for seed in range(n):
        rng = np.random.default_rng(seed)
        x, y, subjects = clustered(rng, 12, 6, 0.0, 0.6)
        false_alarms += permutation_p(x, y, subjects, 199, rng) <= 0.05
        naive_alarms += stats.spearmanr(x, y).pvalue <= 0.05
    assert false_alarms / n <= 0.09
    assert naive_alarms / n >= 0.15
    x, y, subjects = clustered(np.random.default_rng(3), 12, 6, -0.8, 0.3)
    assert permutation_p(x, y, subjects, 999, np.random.default_rng(4)) <= 0.005


def test_permutation_of_one_scan_a_subject_is_the_ordinary_one():
    x, y = np.random.default_rng(5).normal(size=(2, 15))
    ours = permutation_p(x, y, np.arange(15), 4000, np.random.default_rng(6))
    assert ours == pytest.approx(stats.spearmanr(x, y).pvalue, abs=0.04)


def test_permutation_with_unequal_numbers_of_scans():
    x, y, subjects = clustered(np.random.default_rng(7), 8, 5, -0.8, 0.3)
    keep = np.ones(len(x), dtype=bool)
    keep[[0, 6, 7]] = False
    assert permutation_p(x[keep], y[keep], subjects[keep], 499, np.random.default_rng(8)) <= 0.01
