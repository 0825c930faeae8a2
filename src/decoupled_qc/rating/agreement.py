"""Say how far raters agree: the ceiling of what a score can reach against one of them."""

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from decoupled_qc.analysis.resampling import stated_interval, subject_draws
from decoupled_qc.errors import InputError
from decoupled_qc.files import write_whole
from decoupled_qc.rating.judgements import read_rater_table
from decoupled_qc.seeds import rng_for

N_BOOT = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("tables", type=Path, nargs="+", help="tables of ratings: scan, rater, rating, with tabs")
    parser.add_argument("--out", type=Path, help="all tables as one, for config key scoring.ratings")


def run(arguments: argparse.Namespace) -> None:
    """Print the agreement of each pair of raters, and join their tables if asked to.

    Raises:
        InputError: A table cannot be used, or there are not two raters who rated the same scans.
    """
    ratings = pd.concat([read_rater_table(path) for path in arguments.tables], ignore_index=True)
    twice = ratings[ratings.duplicated(["scan", "rater"])]
    if len(twice):
        raise InputError(
            f"Two tables have a rating of {twice['scan'].iloc[0]} by {twice['rater'].iloc[0]}: give each once."
        )
    found = agreement(ratings)
    if found.empty:
        raise InputError("No two raters rated the same scan: give the tables of at least two.")
    print(found.round(3).to_string(index=False))
    if arguments.out:
        with write_whole(arguments.out) as file:
            ratings.assign(rating=ratings["rating"].astype(int)).to_csv(file, sep="\t", index=False)


def agreement(ratings: pd.DataFrame, subjects: pd.Series | None = None) -> pd.DataFrame:
    """Return a row per pair of raters: quadratic-weighted kappa, Spearman's rho, and how often they gave the same.

    Kappa is 1 - sum(w o) / sum(w e), w the squared difference of grades, o the observed and e the chance table of both raters'
    grades; higher is better, 0 is chance. Its interval (95 %) is by bootstrap of whole subjects, see
    :func:`decoupled_qc.analysis.resampling.stated_interval`.

    Args:
        ratings: ``scan``, ``rater``, ``rating`` 1 to 4.
        subjects: Scan → subject; None for the scans' names up to the first ``_``.

    Source: Cohen 1968.
    """
    wide = ratings.pivot(index="scan", columns="rater", values="rating")
    rows = []
    for one, other in combinations(wide.columns, 2):
        both = wide[[one, other]].dropna()
        if both.empty:
            continue
        first, second = both[one].to_numpy(), both[other].to_numpy()
        named = both.index.str.partition("_").get_level_values(0) if subjects is None else both.index.map(subjects)
        subject = named.to_numpy()
        rng = rng_for(0, one, other, "agreement")
        draws = np.concatenate([_kappa(first, second, weights) for weights in subject_draws(subject, N_BOOT, rng)])
        low, high, _ = stated_interval(draws, len(set(subject)))
        varied = len(set(first)) > 1 and len(set(second)) > 1
        rows.append(
            {
                "raters": f"{one}, {other}",
                "kappa": float(_kappa(first, second, np.ones((1, len(both))))[0]),
                "ci_low": low,
                "ci_high": high,
                "rho": stats.spearmanr(first, second).statistic if varied else np.nan,
                "same": float((first == second).mean()),
                "n_scans": len(both),
                "n_subjects": len(set(subject)),
            }
        )
    return pd.DataFrame(rows)


def _kappa(first: np.ndarray, second: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return quadratic-weighted kappa (draws,) under weights (draws, n), NaN where both gave all scans one and the same grade."""
    share = weights / weights.sum(axis=1, keepdims=True)
    observed = share @ (first - second) ** 2
    means = [share @ grades for grades in (first, second)]
    spreads = [share @ grades**2 - mean**2 for grades, mean in zip((first, second), means, strict=True)]
    chance = sum(spreads) + (means[0] - means[1]) ** 2  # the mean squared difference of grades drawn apart
    return 1 - np.divide(observed, chance, out=np.full(len(share), np.nan), where=chance > 1e-9)
