"""Time and memory of the statistics on a large table: ``python benchmarks/analysis.py [scans] [scores]``.

A synthetic table of 10,000 scans (six a subject) and 20 scores by default, with 5,000 bootstrap draws and 9,999
permutations, as a full run has them; one process, one thread. Everything is linear in draws x scans x scores but for the
sorting of each score, n log n, once; memory does not grow with draws, which are taken in chunks of 2 MB.
"""

import argparse
import resource
import time

import numpy as np
import pandas as pd

from decoupled_qc.analysis.correlation import correlate, difference
from decoupled_qc.analysis.decoupling import decoupling
from decoupled_qc.analysis.prediction import decisions
from decoupled_qc.analysis.risk_coverage import risk_coverage

ARTEFACTS = ("spike", "noise", "blur", "wrap", "motion")
HEADS = ("task", *ARTEFACTS)
DRAWS = {"n_boot": 5000, "seed": 1}
CUTS = [0.6, 0.75, 0.9]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scans", type=int, nargs="?", default=10_000)
    parser.add_argument("scores", type=int, nargs="?", default=20)
    arguments = parser.parse_args()
    scores, subjects = synthetic(arguments.scans, arguments.scores)
    n_scans = scores["scan"].nunique()
    print(f"{n_scans} scans of {len(subjects)} subjects, {arguments.scores} scores")
    parts = {
        "correlation": lambda: correlate(scores, subjects, n_permutations=9999, **DRAWS),
        "difference": lambda: difference(scores, subjects, **DRAWS),
        "risk_coverage": lambda: risk_coverage(scores, subjects, dice_cuts=CUTS, **DRAWS),
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
