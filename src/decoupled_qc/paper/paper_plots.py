"""What the paper's figures 5 and 8 show beside what this run's show, as ratios that do not depend on the cohort's heads."""

import math

import numpy as np
import pandas as pd

from decoupled_qc.analysis.resampling import mean_interval, percentile_interval, subject_draws
from decoupled_qc.seeds import rng_for

# Read off the plots of the predecessor (Shaw et al. 2020, MIDL): volumes in 1e5 mm^3, their reference, the place on the axis; the
# band of noise at -10 dB reaches from 4.5 to 6.5, that of blur by a factor of 12 from 4.5 to 5.6.
REFERENCE = 4.93
SWEEPS = {
    "noise": {"at": -10.0, "unit": "dB", "volume": 5.5, "half_width": (6.5 - 4.5) / 2},
    "blur": {"at": 12.0, "unit": "fold", "volume": (4.5 + 5.6) / 2, "half_width": (5.6 - 4.5) / 2},
}
# Sums over the volume, in 1e5; their ratio is that of means.
MEDIANS = {"clean": 1.87, "artefact": 1.88}
QUANTITIES = {
    "volume": "volume / reference",
    "half_width": "half-width of its error bar / reference",
    "median_ratio": "median with an artefact / median clean",
}


def plot_rows(figure_5: pd.DataFrame, figure_8: pd.DataFrame, *, n_boot: int, seed: int, stand_in: bool) -> list[dict]:
    """Return a row per number, as :data:`decoupled_qc.paper.paper_table.COLUMNS`.

    Figure 5: predicted grey-matter volume, and the half-width of its bar, the summed voxel variance above clean, each over the
    reference volume, mean over subjects; 1 and 0 are best. Figure 8: median artefact uncertainty of scans with an artefact over
    that of clean ones; above 1 if it answers to artefacts. ``agrees`` if the paper's number lies in the 95 % subject-bootstrap
    interval, else ``larger`` or ``smaller``.

    Args:
        figure_5: The rows drawn in figure 5; empty without a sweep of noise or blur.
        figure_8: The rows drawn in figure 8.
        n_boot: Draws of the subject bootstrap.
        seed: The run's.
        stand_in: Whether the real set is a stand-in; figure 8 cannot be compared then.
    """
    rows = []
    for name, paper in SWEEPS.items():
        sweep = figure_5[figure_5["artefact"] == name]
        if sweep.empty:
            continue
        worst = sweep[sweep["severity"] == sweep["severity"].max()]
        place = float(worst["value"].mean())
        for quantity, column in (("volume", "volume_ml"), ("half_width", "variance_above_clean_ml")):
            values = (worst[column] / worst["reference_volume_ml"]).to_numpy()
            rng = rng_for(seed, "paper", name, quantity)
            low, high, _ = mean_interval(values, worst["subject"].to_numpy(), n_boot, rng)
            found = float(values.mean()), low, high
            as_far = math.isclose(place, paper["at"], abs_tol=0.05)
            apart = "" if as_far else f"not comparable ({place:g} {paper['unit']}, paper {paper['at']:g})"
            rows.append(_row("figure_5", name, quantity, paper[quantity] / REFERENCE, found, worst, apart))
    ratio = MEDIANS["artefact"] / MEDIANS["clean"]
    apart = "not comparable (stand-in)" if stand_in else ""
    return [
        *rows,
        _row(
            "figure_8", "artefact_uncertainty", "median_ratio", ratio, _medians(figure_8, n_boot, seed), figure_8, apart
        ),
    ]


def _medians(scans: pd.DataFrame, n_boot: int, seed: int) -> tuple[float, float, float]:
    """Return the ratio of medians with its interval."""
    values, faulty = scans["artefact_uncertainty"].to_numpy(), (scans["group"] == "artefact").to_numpy()

    def ratio(times: np.ndarray) -> float:
        medians = [np.repeat(values[group], times[group]) for group in (faulty, ~faulty)]
        return float(np.median(medians[0]) / np.median(medians[1])) if all(map(len, medians)) else math.nan

    low = high = math.nan
    if scans["subject"].nunique() > 1:
        draws = subject_draws(scans["subject"].to_numpy(), n_boot, rng_for(seed, "paper", "figure_8"))
        found = np.array([ratio(times) for weights in draws for times in weights.astype(int)])
        low, high = percentile_interval(found, scans["subject"].nunique())
    return ratio(np.ones(len(scans), int)), low, high


def _row(
    figure: str,
    name: str,
    quantity: str,
    paper: float,
    found: tuple[float, float, float],
    scans: pd.DataFrame,
    apart: str,
) -> dict:
    value, low, high = found
    if apart or not math.isfinite(value):
        verdict = apart or "no value"
    elif not math.isfinite(low):
        verdict = "no interval to judge by"
    else:
        verdict = "agrees" if low <= paper <= high else "larger" if value > paper else "smaller"
    return {
        "set": figure,
        "target": quantity,
        "score": name,
        "paper": paper,
        "this_run": value,
        "ci_low": low,
        "ci_high": high,
        "difference": value - paper,
        "n_scans": scans["scan"].nunique(),
        "n_subjects": scans["subject"].nunique(),
        "n_anatomies": scans["anatomy"].nunique(),
        "verdict": verdict,
    }
