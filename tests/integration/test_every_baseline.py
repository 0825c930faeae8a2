"""Every baseline on the leaderboard and three replicates of the whole chain, in miniature: ``make test-baselines``."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from decoupled_qc.analysis.meaning import higher_is_better

pytestmark = pytest.mark.baselines
RUN = "results/smoke"
DISAGREEMENT = {"pairwise_dice", "iou", "volume_cv", "structure_entropy"}


@pytest.fixture(scope="module")
def analysis(smoke_project, tmp_path_factory):
    project = smoke_project.copy_to(tmp_path_factory.mktemp("baselines") / "project")
    overlays = ("--configfile", "config/smoke.yaml", "config/baselines.yaml", "--config", "replicates=3")
    project.snakemake(*overlays)
    assert (project.folder / RUN / "report.html").is_file()
    return project.folder / RUN / "analysis"


def test_the_leaderboard_ranks_every_baseline_on_the_same_scans(analysis):
    table = pd.read_csv(analysis / "leaderboard.csv")
    table = table[(table.set == "simulated") & (table.target == "dice") & (table.replicate == 0)]
    for baseline in ("tta", "mc-dropout", "ensemble"):
        assert set(table[table.aggregation == baseline].score) == DISAGREEMENT
    assert set(table[table.aggregation == "coupled"].score) == {"total_variance", "entropy"}
    ranked = table[table["rank"].notna()]
    assert ranked[["rho", "aurc"]].notna().all(axis=None) and len(ranked) >= 30
    fewer = ranked.n_scans < ranked.n_scans.max()  # a measure that is NA on some scans says so
    assert ranked[fewer].note.str.contains("scans left out: a value is missing").all()
    meant = ranked.rho * np.where(ranked.score.isin(higher_is_better()), 1, -1)
    assert list(ranked["rank"]) == list(meant.rank(method="min", ascending=False))
    unranked = table[table["rank"].isna()]
    assert set(unranked.score) <= {"ridge_dice"} and unranked.note.notna().all()


def test_the_spread_over_three_trainings_stands_beside_each_correlation(analysis):
    spread = pd.read_csv(analysis / "replicates.csv")
    ours = spread[
        (spread.set == "simulated") & (spread.score == "artefact_uncertainty") & (spread.aggregation == "mean")
    ]
    assert ours.n_replicates.item() == 3 and ours.rho_seed_sd.item() > 0
    assert ours.rho_lowest.item() < ours.rho_mean.item() < ours.rho_highest.item()
    rhos = []
    for folder in sorted((analysis.parent / "scores/student").iterdir()):
        scores = pd.concat(pd.read_csv(file) for file in [folder / "clean.csv", *sorted(folder.glob("sim-*.csv"))])
        values = scores.pivot(index="scan", columns=["metric", "aggregation"], values="value")
        rhos.append(stats.spearmanr(values["dice", "gm"], values["artefact_uncertainty", "mean"]).statistic)
    assert len(rhos) == 3 and np.std(rhos, ddof=1) == pytest.approx(ours.rho_seed_sd.item())
    assert np.mean(rhos) == pytest.approx(ours.rho_mean.item())
    board = pd.read_csv(analysis / "leaderboard.csv").query("set == 'simulated' and aggregation == 'mean'")
    assert set(board[board.score == "artefact_uncertainty"].rho_seed_sd.round(9)) == {round(ours.rho_seed_sd.item(), 9)}
