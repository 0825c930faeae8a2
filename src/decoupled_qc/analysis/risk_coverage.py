"""What a user gains by trusting a score: risk-coverage, and failures found at any Dice below which a scan failed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from decoupled_qc.analysis import meaning
from decoupled_qc.analysis import scores as tables
from decoupled_qc.analysis.ranking import WeightedRanking
from decoupled_qc.analysis.resampling import ONE_SUBJECT, stated_interval, subject_draws
from decoupled_qc.seeds import rng_for

COLUMNS = (
    "model", "replicate", "set", "score", "aggregation", "measure", "dice_cut", "value", "ci_low", "ci_high",
    "oracle", "random", "threshold", "n_scans", "n_failed", "n_subjects", "n_anatomies", "n_validation_subjects", "n_boot",
    "note",
)  # fmt: skip
DETECTION = ("auroc", "auprc", "fpr_at_95_tpr")
COVERAGES = {"risk_at_80": 0.8, "risk_at_90": 0.9}  # measure → share of scans that are trusted
RISK = ("aurc", "e_aurc", "n_aurc", "augrc", *COVERAGES)


@dataclass(frozen=True)
class Failure:
    """When a scan has failed, and what is lost by trusting it.

    Args:
        target: Column with Dice or a rating.
        cuts: Values of the target.
        from_cut_on: Failed is the target at a cut and above it (a rating that rises as scans get worse), else below it.
    """

    target: str
    cuts: Sequence[float]
    from_cut_on: bool = False

    def failed(self, values: np.ndarray, cut: float) -> np.ndarray:
        """Return (n,) boolean for targets (n,)."""
        return values >= cut if self.from_cut_on else values < cut

    def loss(self, values: np.ndarray) -> np.ndarray:
        """Return (n,) 1 - target where every target is in [0, 1] and should be high, as Dice, else 1 where it is failed.

        Args:
            values: (n,) targets; of several cuts the first decides what is failed.
        """
        if not self.from_cut_on and ((values >= 0) & (values <= 1)).all():
            return 1 - values
        return self.failed(values, self.cuts[0]).astype(float)

    def said(self, cut: float) -> str:
        """Return what a failed scan has."""
        name = "Dice" if self.target == "dice:gm" else self.target.split(":")[0]
        return f"{name} of {cut:g} or more" if self.from_cut_on else f"{name} below {cut:g}"


def risk_coverage(
    scores: pd.DataFrame, subjects: pd.DataFrame, *, dice_cuts: Sequence[float], n_boot: int, seed: int
) -> pd.DataFrame:
    """Return how well each score sorts the simulated scans for use, with risk = 1 - Dice.

    ``aurc`` and ``augrc`` as :class:`decoupled_qc.analysis.ranking.WeightedRanking` defines them; ``e_aurc`` is AURC
    above the oracle's, which sorts by Dice itself, and ``n_aurc`` that over a random order's: 0 the oracle, 1 chance;
    ``risk_at_80`` and ``risk_at_90`` are the mean risk of the 80 and 90 % of scans that a score trusts most. ``auroc``,
    ``auprc`` and ``fpr_at_95_tpr`` are of scans with Dice below each cut. A score's direction is that of
    :func:`decoupled_qc.analysis.meaning.distrust`, never fitted.

    Args:
        scores, subjects: As for :func:`decoupled_qc.analysis.correlation.correlate`.
        dice_cuts: Dice below which a scan counts as failed.
        n_boot: Draws of the subject bootstrap behind ``ci_low`` and ``ci_high`` (95 %).
        seed: The run's.

    Returns:
        The columns ``COLUMNS``; NaN with a reason in ``note`` where a number does not exist. ``threshold`` and
        ``n_validation_subjects`` are for :mod:`decoupled_qc.analysis.working_point`, and NaN here.
    """
    parts = [pd.DataFrame(columns=list(COLUMNS))]
    for names, one in tables.each_model(scores, subjects):
        scans = one[tables.simulated(one)]
        if "dice:gm" in scans:
            found = one_set(scans, Failure("dice:gm", dice_cuts), tables.score_columns(one), n_boot=n_boot, seed=seed)
            parts.append(found.assign(**names, set="simulated"))
    return pd.concat([part for part in parts if len(part)] or parts, ignore_index=True).reindex(columns=list(COLUMNS))


def one_set(scans: pd.DataFrame, failure: Failure, scores: list[str], *, n_boot: int, seed: int) -> pd.DataFrame:
    """Return how well each of some scores sorts one set of scans for use.

    Args:
        scans: A row a scan: ``subject``, ``anatomy``, the target and the scores as ``<name>:<aggregation>``.
        failure: What counts as failed, and as loss.
        scores: Columns.
        n_boot, seed: As for :func:`risk_coverage`.

    Returns:
        The columns ``COLUMNS`` from ``score`` on.
    """
    found = {}
    for complete, group in tables.known_together(scans, [failure.target], scores):
        oracle = _Oracle(complete, failure, n_boot, seed)
        notes = tables.left_out(len(complete), len(scans))
        found |= {score: _of_score(complete, score, oracle, failure, notes) for score in group}
    rows = [{**row, "n_boot": n_boot} for score in scores for row in found[score]]
    return pd.DataFrame(rows, columns=list(COLUMNS[COLUMNS.index("score") :]))


class _Oracle:
    """The ranking of some scans by their loss itself, and the draws that all scores known on these scans share."""

    def __init__(self, scans: pd.DataFrame, failure: Failure, n_boot: int, seed: int):
        self._subject, self._n_boot, self._seed = scans["subject"].to_numpy(), n_boot, seed
        self.n_subjects = scans["subject"].nunique()
        self.loss = failure.loss(scans[failure.target].to_numpy())
        if len(scans):
            ranking = WeightedRanking(self.loss)
            once = np.ones((1, len(scans)))
            self.value = {name: float(values[0]) for name, values in _areas(ranking, once, self.loss).items()}
            self.drawn = self.over_draws(
                lambda weights: {
                    "aurc": ranking.aurc(weights, self.loss),
                    "random": weights @ self.loss / weights.sum(axis=1),
                }
            )

    def over_draws(self, statistics: Callable[[np.ndarray], dict]) -> dict:
        """Return every statistic in every draw of whole subjects, (n_boot,) each; nothing with one subject."""
        if self.n_subjects < 2:
            return {}
        # Drawn again for each score, which costs less than holding the sums of all scores at once.
        draws = subject_draws(self._subject, self._n_boot, rng_for(self._seed, "risk"))
        found = [statistics(weights) for weights in draws]
        return {key: np.concatenate([draw[key] for draw in found]) for key in found[0]}


def _of_score(complete: pd.DataFrame, score: str, oracle: _Oracle, failure: Failure, notes: list[str]) -> list[dict]:
    """Return the rows of one score."""
    name, aggregation = score.split(":", 1)
    row = {"score": name, "aggregation": aggregation, **tables.counted(complete)}
    if complete.empty:
        return [{**row, "measure": measure, "note": "; ".join([*notes, "no scan"])} for measure in RISK]
    loss, n = oracle.loss, len(complete)
    failures = {cut: failure.failed(complete[failure.target].to_numpy(), cut) for cut in failure.cuts}
    ranking = WeightedRanking(meaning.distrust(complete, score))

    def statistics(weights: np.ndarray) -> dict[tuple[str, float], np.ndarray]:
        found = {(measure, np.nan): values for measure, values in _areas(ranking, weights, loss).items()}
        for cut, failed in failures.items():
            found |= {(measure, cut): getattr(ranking, measure)(weights, failed) for measure in DETECTION}
        return found

    value, drawn = statistics(np.ones((1, n))), oracle.over_draws(statistics)
    value |= _excess(value["aurc", np.nan], oracle.value["aurc"], loss.mean())
    if drawn:
        drawn |= _excess(drawn["aurc", np.nan], oracle.drawn["aurc"], oracle.drawn["random"])
    best = {**oracle.value, "e_aurc": 0.0, "n_aurc": 0.0}
    chance = {name: loss.mean() for name in ("aurc", *COVERAGES)} | {"n_aurc": 1.0}
    chance |= {"e_aurc": loss.mean() - oracle.value["aurc"], "augrc": loss.mean() * (n + 1) / (2 * n)}
    rows = []
    for measure, cut in [(name, np.nan) for name in RISK] + [(name, cut) for cut in failures for name in DETECTION]:
        found = {"measure": measure, "dice_cut": cut, "value": float(value[measure, cut][0])}
        own = list(notes)
        if measure in DETECTION:
            failed = failures[cut]
            found |= {"n_failed": int(failed.sum()), "oracle": float(measure != "fpr_at_95_tpr")}
            found["random"] = {"auroc": 0.5, "auprc": failed.mean(), "fpr_at_95_tpr": 0.95}[measure]
            if failed.all() or not failed.any():
                own.append(f"no value: {'every' if failed.all() else 'no'} scan has {failure.said(cut)}")
        else:
            found |= {"oracle": best[measure], "random": chance[measure]}
            if np.isnan(value[measure, cut][0]):
                own.append("no value: all scans have the same loss")
        if drawn:
            found["ci_low"], found["ci_high"], why = stated_interval(drawn[measure, cut], oracle.n_subjects)
        else:
            why = ONE_SUBJECT
        rows.append({**row, **found, "note": "; ".join(filter(None, [*own, why]))})
    return rows


def _areas(ranking: WeightedRanking, weights: np.ndarray, loss: np.ndarray) -> dict[str, np.ndarray]:
    """Return the measures of risk that need no oracle, (draws,) each."""
    at = {name: ranking.risk_at(weights, loss, coverage) for name, coverage in COVERAGES.items()}
    return {"aurc": ranking.aurc(weights, loss), "augrc": ranking.augrc(weights, loss), **at}


def _excess(aurc: np.ndarray, oracle: np.ndarray, random: np.ndarray) -> dict[tuple[str, float], np.ndarray]:
    """Return e-AURC, and as a share of a random order's; NaN where oracle and random order have the same."""
    excess, most = aurc - oracle, np.broadcast_to(random - oracle, aurc.shape)
    share = np.divide(excess, most, out=np.full(aurc.shape, np.nan), where=most > 1e-12)
    return {("e_aurc", np.nan): excess, ("n_aurc", np.nan): share}
