import numpy as np
import pandas as pd
import pytest
from scipy import stats

from decoupled_qc.analysis.dependent import bootstrap_p, holm, steiger_test, williams_test, zou_interval
from decoupled_qc.analysis.difference import one_set
from decoupled_qc.analysis.resampling import percentile_interval


# As the R package cocor prints them (Diedenhofen & Musch 2015); its inputs are printed with four decimals.
@pytest.mark.parametrize(
    ("r_jk", "r_jh", "r_kh", "n", "williams", "steiger"),
    [(0.8066, 0.2383, 0.2255, 177, 9.3823, 8.5460), (-0.1741, 0.2015, 0.3734, 646, -9.0340, -8.6124)],
)
def test_cocors_worked_examples(r_jk, r_jh, r_kh, n, williams, steiger):
    assert williams_test(r_jk, r_jh, r_kh, n)[0] == pytest.approx(williams, rel=2e-4)
    assert steiger_test(r_jk, r_jh, r_kh, n)[0] == pytest.approx(steiger, rel=2e-4)


def test_cocors_p_value():
    t, p = williams_test(0.5447, 0.8, 0.0729, 70)
    assert (t, p) == (pytest.approx(-2.8114, rel=2e-4), pytest.approx(0.0065, abs=5e-5))


def test_zous_worked_example():
    """Zou 2007, example 2: r = 0.396 and 0.179, 0.088 between the others, n = 66."""
    assert zou_interval(0.396, 0.179, 0.088, 66) == pytest.approx((-0.093, 0.517), abs=5e-4)
    low, high = zou_interval(0.179, 0.396, 0.088, 66)
    assert (-high, -low) == pytest.approx(zou_interval(0.396, 0.179, 0.088, 66))
    assert np.isnan(zou_interval(1.0, 0.4, 0.3, 50)).all() and np.isnan(zou_interval(0.5, 0.4, 0.3, 3)).all()


def test_zous_interval_holds_the_difference_on_independent_scans():
    rng, n, held = np.random.default_rng(3), 60, 0
    mix = np.linalg.cholesky([[1, 0.7, 0.4], [0.7, 1, 0.3], [0.4, 0.3, 1]]).T
    for _ in range(1000):
        r = stats.spearmanr(rng.normal(size=(n, 3)) @ mix).statistic
        low, high = zou_interval(r[0, 1], r[0, 2], r[1, 2], n)
        held += low <= 6 / np.pi * (np.arcsin(0.35) - np.arcsin(0.2)) <= high  # of ranks, from those of the normals
    assert 0.92 < held / 1000 < 0.97


def test_of_clustered_scans_the_bootstrap_keeps_its_level_where_the_usual_test_does_not():
    """28 subjects x 5 scans, two scores that follow Dice alike, correlation 0.6 within subjects."""
    rng, n, alarms = np.random.default_rng(2), 200, {"bootstrap": 0, "steiger": 0}
    mix = np.linalg.cholesky([[1, 0.8, 0.8], [0.8, 1, 0.64], [0.8, 0.64, 1]]).T
    for _ in range(n):
        parts = rng.normal(size=(28, 1, 3)) * np.sqrt(0.6), rng.normal(size=(28, 5, 3)) * np.sqrt(0.4)
        scans = pd.DataFrame((sum(parts) @ mix).reshape(-1, 3), columns=["dice:gm", "a:x", "b:x"])
        scans = scans.assign(subject=np.repeat(np.arange(28), 5), anatomy="s1")
        settings = {"set_name": "own", "directed": False, "n_boot": 300, "seed": 1}
        row = one_set(scans, "dice:gm", "a:x", ["b:x"], **settings).iloc[0]
        alarms["bootstrap"] += not row["ci_low"] <= 0 <= row["ci_high"]
        alarms["steiger"] += row["p_steiger"] < 0.05
    assert alarms["bootstrap"] / n <= 0.08
    assert alarms["steiger"] / n >= 0.15


@pytest.mark.parametrize("test", [williams_test, steiger_test])
def test_level_on_independent_scans(test):
    rng, n, rejected = np.random.default_rng(0), 60, 0
    mix = np.linalg.cholesky([[1, 0.6, 0.6], [0.6, 1, 0.3], [0.6, 0.3, 1]]).T
    for _ in range(1000):
        r = np.corrcoef(rng.normal(size=(n, 3)) @ mix, rowvar=False)
        rejected += test(r[0, 1], r[0, 2], r[1, 2], n)[1] < 0.05
    assert 0.035 < rejected / 1000 < 0.065


@pytest.mark.parametrize("test", [williams_test, steiger_test])
def test_no_p_where_there_is_none(test):
    assert np.isnan(test(0.5, 0.4, 0.3, 3)[1])
    assert np.isnan(test(0.7, 0.7, 1.0, 50)[1])


def test_holm_by_hand():
    adjusted = holm(np.array([0.01, 0.04, np.nan, 0.03, 0.005]))
    assert adjusted[[0, 1, 3, 4]] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert np.isnan(adjusted[2])
    assert holm(np.array([0.6, 0.7])) == pytest.approx([1.0, 1.0])


def test_bootstrap_p():
    many = 10**6  # subjects: the interval's ends are plain percentiles
    assert bootstrap_p(np.linspace(1, 2, 1000), many) == pytest.approx(0.002, rel=1e-3)
    assert bootstrap_p(np.r_[-np.ones(10), np.ones(90)], many) == pytest.approx(0.2, abs=0.02)
    assert bootstrap_p(np.zeros(5), 5) == 1.0
    assert np.isnan(bootstrap_p(np.full(3, np.nan), 5))


def test_p_is_below_5_percent_exactly_where_the_interval_misses_0():
    rng, missed = np.random.default_rng(0), 0
    for _ in range(500):
        n_subjects, n_draws = rng.integers(2, 40), rng.integers(20, 400)
        draws = rng.normal(rng.normal(0, 2), 1, n_draws)
        draws = draws.round(1) if rng.uniform() < 0.3 else draws  # ties, some of them at 0
        low, high = percentile_interval(draws, n_subjects)
        assert (bootstrap_p(draws, n_subjects) < 0.05) == (not low <= 0 <= high)
        missed += not low <= 0 <= high
    assert 100 < missed < 400
