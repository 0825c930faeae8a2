"""Time and memory of the statistics on a large table: ``python benchmarks/analysis.py [scans] [scores] [--csv FILE]``.

A synthetic table of 10,000 scans (six a subject) and 20 scores by default, and beside them sweeps of one subject in ten, two
mixtures of each, and 450 rated scans of 150 subjects, about as many as MR-ART has; with 5,000 bootstrap draws and 9,999
permutations, as a full run has them; read from a file, one process, one thread. Then the same of the demo's own scores, as
committed. Then one score's interval alone, beside what draws one by one cost: pingouin (if installed), and SciPy in a loop
over whole subjects. ``RESULTS.md`` has the times, ``docs/statistics.md`` how they grow.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import measure
import numpy as np
import pandas as pd
from scipy import stats

from decoupled_qc.analysis import scores as tables
from decoupled_qc.analysis.additivity import additivity
from decoupled_qc.analysis.between_heads import between_heads
from decoupled_qc.analysis.correlation import correlate
from decoupled_qc.analysis.decoupling import decoupling
from decoupled_qc.analysis.difference import difference
from decoupled_qc.analysis.leaderboard import leaderboard
from decoupled_qc.analysis.localisation import localisation
from decoupled_qc.analysis.naming_accuracy import naming_accuracy
from decoupled_qc.analysis.prediction import decision_coverage, decisions
from decoupled_qc.analysis.rank_ranges import rank_ranges
from decoupled_qc.analysis.real import real_artefacts
from decoupled_qc.analysis.regression import ridge_dice
from decoupled_qc.analysis.replicates import replicates
from decoupled_qc.analysis.resampling import WeightedSpearman, percentile_interval, subject_draws
from decoupled_qc.analysis.risk_coverage import risk_coverage
from decoupled_qc.analysis.scores import read_scores
from decoupled_qc.analysis.segmentation import segmentation
from decoupled_qc.analysis.severity import severity_trend
from decoupled_qc.analysis.variance_dice import variance_dice
from decoupled_qc.analysis.volumes import volumes
from decoupled_qc.analysis.working_point import working_points

ARTEFACTS = ("spike", "noise", "blur", "wrap", "motion")
HEADS = ("task", *ARTEFACTS)
DRAWS = {"n_boot": 5000, "seed": 1}
CUTS = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9]  # as the configuration has them
PEER_DRAWS = 100
ROUNDS = 3
SEVERITIES = np.linspace(1 / 6, 1, 6)  # of a sweep
MIXTURES = ("spike+noise", "blur+motion")
RATED = 150  # subjects with three rated scans each
DEMO = Path(__file__).parents[1] / "results/demo/scores.csv"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scans", type=int, nargs="?", default=10_000)
    parser.add_argument("scores", type=int, nargs="?", default=20)
    parser.add_argument(
        "--csv", type=Path, help="table to write: what, seconds, cpu_seconds, peak_gib; beside it, peers"
    )
    arguments = parser.parse_args()
    scores, subjects = synthetic(arguments.scans, arguments.scores)
    n_scans = scores.loc[tables.simulated(scores), "scan"].nunique()
    print(f"{n_scans} scans of {len(subjects)} subjects, {arguments.scores} scores")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scores.csv"
        scores.to_csv(file, index=False)
        rows = [(*row, n_scans, arguments.scores) for row in timed(parts(file, subjects))]
    if DEMO.is_file():
        print(f"{DEMO.parent}:")
        demo = read_scores(DEMO)
        names = demo["subject"].unique()
        of_demo = timed(parts(DEMO, pd.DataFrame({"subject": names, "anatomy": names, "role": "test"})))
        n_scores = len(demo[["metric", "aggregation"]].drop_duplicates())
        rows.append(("demo", *of_demo[-1][1:], demo.loc[tables.simulated(demo), "scan"].nunique(), n_scores))
    table = pd.DataFrame(rows, columns=["what", "seconds", "cpu_seconds", "peak_gib", "scans", "scores"])
    if arguments.csv:
        table.to_csv(arguments.csv, index=False, float_format="%.2f")
    compare(scores, arguments.csv and arguments.csv.with_name(f"{arguments.csv.stem}_peers.csv"))


def parts(file: Path, subjects: pd.DataFrame) -> dict[str, Callable[[], pd.DataFrame]]:
    """Return the steps of the analysis, in their order."""
    found: dict[str, pd.DataFrame] = {}

    def keep(name: str, function: Callable[..., pd.DataFrame], *arguments: object, **settings: object) -> Callable:
        def step() -> pd.DataFrame:
            found[name] = function(
                *(found.get(key, key) if isinstance(key, str) else key for key in arguments), **settings
            )
            return found[name]

        return step

    run, cuts = ("scores", subjects), {"dice_cuts": CUTS}
    of_board = ("correlation", "risk_coverage", "replicates", "rank_ranges")
    steps = {
        "scores": keep("scores", read_scores, file),
        "ridge_dice": keep("ridge_dice", ridge_dice, "scores"),
        "variance_dice": keep("variance_dice", variance_dice, "scores"),
        "correlation": keep("correlation", correlate, *run, n_permutations=9999, **DRAWS),
        "difference": keep("difference", difference, *run, **DRAWS),
        "rank_ranges": keep("rank_ranges", rank_ranges, *run, **DRAWS),
        "risk_coverage": keep("risk_coverage", risk_coverage, *run, **cuts, **DRAWS),
        "working_points": keep("working_points", working_points, *run, **cuts, **DRAWS),
        "decoupling": keep("decoupling", decoupling, *run, **DRAWS),
        "between_heads": keep("between_heads", between_heads, *run, **DRAWS),
        "additivity": keep("additivity", additivity, *run, **DRAWS),
        "naming_accuracy": keep("naming_accuracy", naming_accuracy, *run, error_rate=0.2, **DRAWS),
        "localisation": keep("localisation", localisation, *run, **DRAWS),
        "severity_trend": keep("severity_trend", severity_trend, *run, **DRAWS),
        "segmentation": keep("segmentation", segmentation, *run, **DRAWS),
        "volumes": keep("volumes", volumes, *run, voxel_ml=0.001, **DRAWS),
        "decisions": keep("decisions", decisions, *run, target_dice=0.75, error_rate=0.1),
        "decision_coverage": keep("decision_coverage", decision_coverage, "decisions", **DRAWS),
        "real_artefacts": keep("real_artefacts", real_artefacts, *run, **DRAWS),
        "replicates": keep("replicates", replicates, *run),
        "leaderboard": keep("leaderboard", leaderboard, *of_board, dice_cut=0.75),
    }
    return steps


def timed(steps: dict[str, Callable[[], pd.DataFrame]]) -> list[tuple]:
    """Run the steps; return name, wall seconds, processor seconds and memory's peak so far, of all together last."""
    rows, whole = [], (time.perf_counter(), time.process_time())
    for name, step in steps.items():
        start = time.perf_counter(), time.process_time()
        n_rows = len(step())
        rows.append((name, time.perf_counter() - start[0], time.process_time() - start[1], peak_gib()))
        print(
            f"{name:14} {rows[-1][1]:7.1f} s  {rows[-1][2]:7.1f} s CPU  {n_rows:6} rows  peak {rows[-1][3]:.2f} GiB",
            flush=True,
        )
    rows.append(("all", time.perf_counter() - whole[0], time.process_time() - whole[1], peak_gib()))
    print(f"{'all':14} {rows[-1][1]:7.1f} s  {rows[-1][2]:7.1f} s CPU")
    return rows


def compare(scores: pd.DataFrame, out: Path | None) -> None:
    """Time the interval of one score's rho, ours and draw by draw, with the same number of draws."""
    kept = scores[tables.simulated(scores) & scores["metric"].isin(["dice", "artefact_uncertainty"])]
    kept = kept[kept["aggregation"] != "per_gm"]
    wide = kept.pivot(index=["subject", "scan"], columns="metric", values="value")
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
            x, y, func="spearman", n_boot=PEER_DRAWS, paired=True, method="per", seed=1
        )
    except ImportError:
        print("pingouin is not installed: no comparison with it")
    name = f"interval of rho, {PEER_DRAWS} draws of {len(x)} scans"
    rows = measure.compare(name, {"ours": ours, **peers}, ROUNDS)
    measure.tell("s", rows)
    if out:
        measure.write(out, "seconds", rows)


def synthetic(n_scans: int, n_scores: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return scores of scans whose uncertainty follows Dice, and the subjects; 1 % are validation subjects.

    ``n_scans`` are clean or have one artefact; sweeps and mixtures come on top.
    """
    rng = np.random.default_rng(0)
    names = [f"sub-{index:05d}" for index in range(n_scans // (1 + len(ARTEFACTS)))]
    plan = pd.DataFrame([("none", "clean", 0.0), *((name, f"sim-{name}", np.nan) for name in ARTEFACTS)])
    mixtures = pd.DataFrame([(name, "mix", np.nan) for name in MIXTURES])
    sweeps = pd.DataFrame([(name, f"sweep-{name}", severity) for name in ARTEFACTS for severity in SEVERITIES])
    rated = pd.DataFrame([("motion", "real", np.nan)] * 3)
    many = pd.concat([plan, mixtures])
    base = pd.concat(
        [of.assign(subject=name) for name in names for of in ([many, sweeps] if name[-1] == "0" else [many])]
        + [rated.assign(subject=name) for name in names[-RATED:]]
    )
    base = base.rename(columns={0: "artefact", 1: "condition", 2: "severity"}).reset_index(drop=True)
    base["severity"] = base["severity"].where(base["severity"].notna(), rng.uniform(0, 1, len(base)))
    base.loc[base["subject"].isin(names[: max(10, len(names) // 100)]), "condition"] = "validation"
    base["scan"] = base["subject"] + "_" + base.groupby("subject").cumcount().astype(str)
    kinds, damage, n = base["artefact"].to_numpy(), base["severity"].to_numpy(), len(base)
    dice = 0.9 - 0.5 * damage + rng.normal(0, 0.03, n) + rng.normal(0, 0.02, len(names))[base["subject"].factorize()[0]]
    values = {
        ("dice", "gm"): dice,
        ("artefact_uncertainty", "mean"): np.exp(-3 * dice + rng.normal(0, 0.2, n)),
    }
    values["artefact_uncertainty", "per_gm"] = 8 * values["artefact_uncertainty", "mean"]
    for head in HEADS[: n_scores - 2]:
        rise = 2.0 * damage * (kinds == head)
        values[f"variance_{head}", "mean"] = np.exp(rise + rng.normal(0, 0.3, n))
    uncertain = 5 + 40 * damage
    values |= {
        ("volume_ml", "gm"): 600 + uncertain * rng.normal(size=n),
        ("reference_volume_ml", "gm"): np.full(n, 600.0),
        ("volume_variance_ml", "gm"): 100 + uncertain,
        ("volume_variance_ml", "above_certain"): uncertain,
        ("volume_sd_ml", "gm"): 400 + 3 * uncertain,
    }
    local = base["condition"].str.startswith("sim-") & (rng.uniform(size=n) < 0.5)
    for head in ("volume", *HEADS):
        share = 0.5 + 0.2 * (kinds == head) + rng.uniform(-0.2, 0.2, n)
        values["share_inside", head] = np.where(local, share, np.nan)
    for index in range(n_scores - 1 - len(HEADS)):
        values[f"measure_{index:02d}", "scan"] = -dice + rng.normal(0, 0.02 * (index + 1), n)
    values["rating", "raters"] = np.where(base["condition"] == "real", np.digitize(dice, [0.6, 0.75]) + 1.0, np.nan)
    base = base.assign(model="student", replicate="0")
    tall = [base.assign(metric=metric, aggregation=of, value=value) for (metric, of), value in values.items()]
    return pd.concat(tall, ignore_index=True), pd.DataFrame({"subject": names, "anatomy": names, "role": "test"})


def peak_gib() -> float:
    """Return the highest resident memory of this process so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
