"""Say how far raters agree: the ceiling of what a score can reach against one of them."""

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from decoupled_qc.analysis.resampling import percentile_interval, subject_draws
from decoupled_qc.errors import InputError
from decoupled_qc.rated import read_rater_table
from decoupled_qc.seeds import rng_for

N_BOOT = 1000
GRADES = [1.0, 2.0, 3.0, 4.0]


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
        ratings.assign(rating=ratings["rating"].astype(int)).to_csv(arguments.out, sep="\t", index=False)


def agreement(ratings: pd.DataFrame) -> pd.DataFrame:
    """Return a row per pair of raters: quadratic-weighted kappa, Spearman's rho, and how often they gave the same.

    Kappa is 1 - sum(w o) / sum(w e), w the squared difference, o the observed and e the chance table of both raters' grades;
    higher is better, 0 is chance. Its interval (95 %, percentile) is by bootstrap of whole subjects.

    Args:
        ratings: ``scan``, ``rater``, ``rating`` 1 to 4; a scan's subject is its name up to the first ``_``.

    Source: Cohen 1968.
    """
    wide = ratings.pivot(index="scan", columns="rater", values="rating")
    rows = []
    for one, other in combinations(wide.columns, 2):
        both = wide[[one, other]].dropna()
        if both.empty:
            continue
        first, second = both[one].to_numpy(), both[other].to_numpy()
        subject = both.index.str.partition("_").get_level_values(0).to_numpy()
        draws = [
            _kappa(first, second, weights)
            for block in subject_draws(subject, N_BOOT, rng_for(0, one, other, "agreement"))
            for weights in block
        ]
        low, high = percentile_interval(np.array(draws)) if len(set(subject)) > 1 else (np.nan, np.nan)
        varied = len(set(first)) > 1 and len(set(second)) > 1
        rows.append(
            {
                "raters": f"{one}, {other}",
                "kappa": _kappa(first, second, None),
                "ci_low": low,
                "ci_high": high,
                "rho": stats.spearmanr(first, second).statistic if varied else np.nan,
                "same": float((first == second).mean()),
                "n_scans": len(both),
                "n_subjects": len(set(subject)),
            }
        )
    return pd.DataFrame(rows)


def _kappa(first: np.ndarray, second: np.ndarray, weights: np.ndarray | None) -> float:
    """Return the quadratic-weighted kappa, NaN where both gave all scans one and the same grade."""
    here = slice(None) if weights is None else weights > 0
    if len(set(first[here]) | set(second[here])) == 1:
        return np.nan
    return cohen_kappa_score(first, second, labels=GRADES, weights="quadratic", sample_weight=weights)
