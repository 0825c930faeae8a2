"""How often 95 % intervals hold the truth, of rho and of the leakage: ``python benchmarks/coverage.py [simulations] [draws]``.

Two normal variables, six scans a subject, correlation 0.6 between the scans of a subject. Kinds of interval: naive (scans drawn
as if independent) and, with whole subjects drawn, plain percentile, expanded percentile (the one in use), BCa, and studentised
on Fisher's z with the linearised, subject-robust standard error of each draw.

The leakage: a head's log variance, normal over clean scans, rises by a normal amount of the same spread. Kinds: expanded
percentiles of z with the drawn subjects' standard deviation as it is (percentile), and the one in use, with the scale's error
turned round (reflected).

``coverage.csv`` beside this file (``--csv``) has the result of 500 simulations of 1000 draws, with which a coverage is known to
about 0.01.
"""

import argparse
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from decoupled_qc.analysis.decoupling import decoupling
from decoupled_qc.analysis.resampling import (
    Ranks,
    WeightedSpearman,
    bca_interval,
    leave_one_out,
    percentile_interval,
    subject_draws,
)
from decoupled_qc.analysis.scores import COLUMNS

SCANS, WITHIN = 6, 0.6
KINDS = ("naive", "percentile", "expanded", "BCa", "studentised")
LEAKAGE_KINDS = ("percentile", "reflected")
SUBJECTS = (28, 12, 8, 5)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("simulations", type=int, nargs="?", default=500)
    parser.add_argument("draws", type=int, nargs="?", default=1000)
    parser.add_argument(
        "--csv",
        type=Path,
        help="table to write: statistic, truth, subjects, interval, coverage, mean_width, simulations",
    )
    arguments = parser.parse_args()
    rows = []
    for pearson in (-0.84, -0.39):
        truth = 6 / math.pi * math.asin(pearson / 2)
        rows += covered(
            "rho", truth, KINDS, partial(ends, pearson=pearson, n_draws=arguments.draws), arguments.simulations
        )
    for rise in (5.0, 0.5):
        of_rise = partial(leakage_ends, rise=rise, n_draws=arguments.draws)
        rows += covered("leakage", rise, LEAKAGE_KINDS, of_rise, arguments.simulations)
    if arguments.csv:
        columns = ["statistic", "truth", "subjects", "interval", "coverage", "mean_width", "simulations"]
        pd.DataFrame(rows, columns=columns).to_csv(arguments.csv, index=False, float_format="%.3f")


def covered(
    statistic: str, truth: float, kinds: tuple[str, ...], ends_of: Callable[[int, int], list], n_simulations: int
) -> list[tuple]:
    """Print and return how often each kind of interval holds the truth, and its width, by the number of subjects."""
    rows = []
    print(f"{statistic:>8} {'subjects':>8}  " + "  ".join(f"{kind:>14}" for kind in kinds))
    for n_subjects in SUBJECTS:
        found = np.array([ends_of(seed, n_subjects) for seed in range(n_simulations)])
        shares = ((found[..., 0] <= truth) & (found[..., 1] >= truth)).mean(axis=0)
        widths = np.ptp(found, axis=2).mean(axis=0)
        both = list(zip(kinds, shares, widths, strict=True))
        rows += [(statistic, truth, n_subjects, *of_kind, n_simulations) for of_kind in both]
        cells = (f"{share:.3f} ({width:.2f})" for _, share, width in both)
        print(f"{truth:8.2f} {n_subjects:8}  " + "  ".join(f"{cell:>14}" for cell in cells), flush=True)
    return rows


def ends(seed: int, n_subjects: int, pearson: float, n_draws: int) -> list[tuple[float, float]]:
    """Return the ends of each kind of interval in one simulation."""
    rng = np.random.default_rng(seed)
    mix = np.linalg.cholesky([[1, pearson], [pearson, 1]]).T
    shared = rng.normal(size=(n_subjects, 1, 2)) @ mix * math.sqrt(WITHIN)
    own = rng.normal(size=(n_subjects, SCANS, 2)) @ mix * math.sqrt(1 - WITHIN)
    x, y = (shared + own).reshape(-1, 2).T
    subject = np.repeat(np.arange(n_subjects), SCANS)
    statistic = WeightedSpearman(x, y)
    naive = draws_of(statistic, np.arange(len(x)), n_draws, rng)
    weights = np.concatenate(list(subject_draws(subject, n_draws, rng)))
    draws = statistic(weights)
    rho = statistic(np.ones((1, len(x))))[0]
    jackknife = np.concatenate([statistic(left) for left in leave_one_out(subject)])
    return [
        tuple(np.quantile(naive, [0.025, 0.975])),
        tuple(np.quantile(draws, [0.025, 0.975])),
        percentile_interval(draws, n_subjects),
        bca_interval(draws, rho, jackknife),
        studentised(x, y, subject, weights),
    ]


def leakage_ends(seed: int, n_subjects: int, rise: float, n_draws: int) -> list[tuple[float, float]]:
    """Return the ends of each kind of interval of a head's rise in one simulation."""
    rng = np.random.default_rng(seed)
    names = [f"sub-{index:02d}" for index in range(n_subjects)]
    clean, change = rng.normal(size=(2, n_subjects))
    weights = np.concatenate(list(subject_draws(np.arange(n_subjects), n_draws, rng)))
    spread = weights @ clean**2 - (weights @ clean) ** 2 / n_subjects
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (weights @ (rise + change) / n_subjects) / np.sqrt(spread / (n_subjects - 1))
    logs = {
        "none": clean,
        "noise": clean + rise + change,
        "blur": clean,
    }  # a second artefact and head, to make a matrix
    rows = [
        (name, f"{name}_{kind}", "student", 0, "clean" if kind == "none" else f"sim-{kind}", kind, 0.5)
        + (f"variance_{head}", "mean", math.exp(log))
        for kind, of_kind in logs.items()
        for name, log in zip(names, of_kind, strict=True)
        for head in ("noise", "blur")
    ]
    subjects = pd.DataFrame({"subject": names, "anatomy": names, "role": "test"})
    table = decoupling(pd.DataFrame(rows, columns=list(COLUMNS)), subjects, n_boot=n_draws, seed=seed)
    own = table[(table["quantity"] == "leakage") & (table["artefact"] == "noise") & (table["head"] == "noise")]
    return [percentile_interval(z, n_subjects), tuple(own[["ci_low", "ci_high"]].iloc[0])]


def draws_of(statistic: WeightedSpearman, clusters: np.ndarray, n_draws: int, rng: np.random.Generator) -> np.ndarray:
    """Return the statistic in every draw of whole clusters."""
    return np.concatenate([statistic(weights) for weights in subject_draws(clusters, n_draws, rng)])


def studentised(x: np.ndarray, y: np.ndarray, subject: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Return the bootstrap-t interval on Fisher's z."""
    (z,), (error,) = z_and_error(x, y, subject, np.ones((1, len(x))))
    drawn, errors = z_and_error(x, y, subject, weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (drawn - z) / errors
    low, high = np.quantile(t[np.isfinite(t)], [0.025, 0.975])
    return math.tanh(z - high * error), math.tanh(z - low * error)


def z_and_error(
    x: np.ndarray, y: np.ndarray, subject: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return Fisher's z of rho and its standard error from the influence of each subject, in every draw."""
    counts = weights.T
    n = counts.sum(axis=0)
    u, v, share = Ranks(x)(weights) / n, Ranks(y)(weights) / n, counts / n
    covariance, spread_x, spread_y = ((share * product).sum(axis=0) for product in (u * v, u * u, v * v))
    rho = covariance / np.sqrt(spread_x * spread_y)
    of_covariance = u * v + above(x, share * v) + above(y, share * u) - 3 * covariance
    of_x = u * u + 2 * above(x, share * u) - 3 * spread_x
    of_y = v * v + 2 * above(y, share * v) - 3 * spread_y
    influence = of_covariance / np.sqrt(spread_x * spread_y) - rho / 2 * (of_x / spread_x + of_y / spread_y)
    scans_of = (np.unique(subject)[:, None] == subject).astype(float)
    drawn = (scans_of @ counts) / scans_of.sum(axis=1, keepdims=True)
    n_subjects = len(scans_of)
    variance = (drawn * (scans_of @ influence) ** 2).sum(axis=0) / n**2 * n_subjects / (n_subjects - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.arctanh(rho), np.sqrt(variance) / (1 - rho**2)


def above(values: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Return the sum of (n, draws) amounts over scans of higher values, and half of those of the scan itself."""
    order = np.argsort(values)
    total = np.cumsum(amount[order], axis=0)
    found = np.empty_like(amount)
    found[order] = total[-1] - total + amount[order] / 2
    return found


if __name__ == "__main__":
    main()
