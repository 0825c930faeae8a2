"""Time and memory of the statistics on a large table: ``python benchmarks/analysis.py [scans] [scores] [--csv FILE]``.

A synthetic table of 10,000 scans (six a subject) and 20 scores by default, with 5,000 bootstrap draws and 9,999
permutations, as a full run has them; one process, one thread. Everything is linear in draws x scans x scores but for the
sorting of each score, n log n, once, and BCa's jackknife, subjects x scans x scores; memory does not grow with draws, which are
taken in chunks of 2 MB. Then one score's interval alone, beside what draws one by one cost: pingouin (if installed), and
SciPy in a loop over whole subjects.
"""

import argparse
import csv
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from decoupled_qc.analysis.correlation import correlate
from decoupled_qc.analysis.decoupling import decoupling
from decoupled_qc.analysis.difference import difference
from decoupled_qc.analysis.prediction import decisions
from decoupled_qc.analysis.regression import ridge_dice
from decoupled_qc.analysis.resampling import WeightedSpearman, percentile_interval, subject_draws
from decoupled_qc.analysis.risk_coverage import risk_coverage
from decoupled_qc.analysis.working_point import working_points

ARTEFACTS = ("spike", "noise", "blur", "wrap", "motion")
HEADS = ("task", *ARTEFACTS)
DRAWS = {"n_boot": 5000, "seed": 1}
CUTS = [0.6, 0.75, 0.9]
PEER_DRAWS = 100


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scans", type=int, nargs="?", default=10_000)
    parser.add_argument("scores", type=int, nargs="?", default=20)
    parser.add_argument("--csv", type=Path, help="table to write: name, seconds, reference, reference_seconds, ratio")
    arguments = parser.parse_args()
    scores, subjects = synthetic(arguments.scans, arguments.scores)
    n_scans = scores["scan"].nunique()
    print(f"{n_scans} scans of {len(subjects)} subjects, {arguments.scores} scores")
    parts = {
        "ridge_dice": lambda: ridge_dice(scores),
        "correlation": lambda: correlate(scores, subjects, n_permutations=9999, **DRAWS),
        "difference": lambda: difference(scores, subjects, **DRAWS),
        "risk_coverage": lambda: risk_coverage(scores, subjects, dice_cuts=CUTS, **DRAWS),
        "working_points": lambda: working_points(scores, subjects, dice_cuts=CUTS, **DRAWS),
        "decoupling": lambda: decoupling(scores, subjects, **DRAWS),
        "decisions": lambda: decisions(scores, subjects, target_dice=0.75, error_rate=0.1),
    }
    whole, whole_cpu = time.perf_counter(), time.process_time()
    for name, part in parts.items():
        start, cpu = time.perf_counter(), time.process_time()
        rows = len(part())
        spent = f"{time.perf_counter() - start:7.1f} s  {time.process_time() - cpu:7.1f} s CPU"
        print(f"{name:14} {spent}  {rows:4} rows  peak {peak_gib():.2f} GiB", flush=True)
    print(f"{'all':14} {time.perf_counter() - whole:7.1f} s  {time.process_time() - whole_cpu:7.1f} s CPU")
    compare(scores, arguments.csv)


def compare(scores: pd.DataFrame, out: Path | None) -> None:
    """Time the interval of one score's rho, ours and draw by draw, with the same number of draws."""
    wide = scores[scores["condition"] != "validation"].pivot(
        index=["subject", "scan"], columns="metric", values="value"
    )
    x, y = wide["artefact_uncertainty"].to_numpy(), wide["dice"].to_numpy()
    subject = wide.index.get_level_values("subject").to_numpy()

    def ours() -> None:
        rng, statistic = np.random.default_rng(1), WeightedSpearman(x, y)
        draws = np.concatenate([statistic(weights) for weights in subject_draws(subject, PEER_DRAWS, rng)])
        percentile_interval(draws, len(np.unique(subject)))

    def one_by_one() -> None:
        rng, names = np.random.default_rng(1), np.unique(subject)
        scans_of = [np.flatnonzero(subject == name) for name in names]
        draws = []
        for _ in range(PEER_DRAWS):
            drawn = np.concatenate([scans_of[index] for index in rng.integers(len(names), size=len(names))])
            draws.append(stats.spearmanr(x[drawn], y[drawn]).statistic)
        np.quantile(draws, [0.025, 0.975])

    peers = {"SciPy in a loop over drawn subjects": one_by_one}
    try:
        import pingouin

        peers["pingouin.compute_bootci, which draws scans"] = lambda: pingouin.compute_bootci(
            x, y, func="spearman", n_boot=PEER_DRAWS, method="per", seed=1
        )
    except ImportError:
        print("pingouin is not installed: no comparison with it")
    rows, name = [], f"interval of rho, {PEER_DRAWS} draws of {len(x)} scans"
    for reference, peer in peers.items():
        mine, theirs = seconds(ours), seconds(peer)
        rows.append((name, mine, reference, theirs, mine / theirs))
        print(f"{name}: {mine:.3f} s CPU; {reference}: {theirs:.3f} s CPU, ratio {mine / theirs:.3f}")
    if out:
        with out.open("w", newline="") as file:
            csv.writer(file).writerows([("name", "seconds", "reference", "reference_seconds", "ratio"), *rows])


def seconds(function: Callable[[], None]) -> float:
    """Return the median processor seconds of three calls."""
    spent = []
    for _ in range(3):
        start = time.process_time()
        function()
        spent.append(time.process_time() - start)
    return float(np.median(spent))


def synthetic(n_scans: int, n_scores: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return scores of scans whose uncertainty follows Dice, and the subjects; 1 % are validation subjects."""
    rng = np.random.default_rng(0)
    n_subjects = n_scans // (1 + len(ARTEFACTS))
    names = [f"sub-{index:05d}" for index in range(n_subjects)]
    kinds = np.tile(("none", *ARTEFACTS), n_subjects)
    subject = np.repeat(names, 1 + len(ARTEFACTS))
    damage = np.where(kinds == "none", 0, rng.uniform(0, 1, len(kinds)))
    dice = 0.9 - 0.5 * damage + rng.normal(0, 0.03, len(kinds)) + np.repeat(rng.normal(0, 0.02, n_subjects), 6)
    condition = np.where(kinds == "none", "clean", np.char.add("sim-", kinds)).astype(object)
    condition[np.isin(subject, names[: max(10, n_subjects // 100)])] = "validation"
    values = {
        ("dice", "gm"): dice,
        ("artefact_uncertainty", "mean"): np.exp(-3 * dice + rng.normal(0, 0.2, len(kinds))),
    }
    for head in HEADS[: n_scores - 1]:
        rise = 2.0 * damage * (kinds == head)
        values[f"variance_{head}", "mean"] = np.exp(rise + rng.normal(0, 0.3, len(kinds)))
    for index in range(n_scores - 1 - len(HEADS)):
        values[f"measure_{index:02d}", "scan"] = -dice + rng.normal(0, 0.02 * (index + 1), len(kinds))
    base = pd.DataFrame({"subject": subject, "scan": np.char.add(np.char.add(subject, "_"), kinds), "artefact": kinds})
    base = base.assign(condition=condition, severity=damage, model="student", replicate="0")
    tall = [base.assign(metric=metric, aggregation=of, value=value) for (metric, of), value in values.items()]
    return pd.concat(tall, ignore_index=True), pd.DataFrame({"subject": names, "anatomy": names, "role": "test"})


def peak_gib() -> float:
    """Return the highest resident memory of this process so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
