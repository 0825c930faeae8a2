"""Every baseline on the leaderboard and three replicates of the whole chain, in miniature: ``make test-baselines``."""

import pandas as pd
import pytest

pytestmark = pytest.mark.baselines
RUN = "results/smoke"
DISAGREEMENT = {"pairwise_dice", "iou", "volume_cv", "structure_entropy"}


@pytest.fixture(scope="module")
def analysis(smoke_project, tmp_path_factory):
    project = smoke_project.copy_to(tmp_path_factory.mktemp("baselines") / "project")
    project.edit(
        "config/config.yaml", "replicates: [0, 1, 2, 3, 4], vary: network", "replicates: [0, 1, 2], vary: network"
    )
    overlays = ("--configfile", "config/smoke.yaml", "config/baselines.yaml", "--config", "replicates=3")
    printed = project.snakemake(*overlays)
    assert "rule train_task" in printed and (project.folder / RUN / "report.html").is_file()
    return project.folder / RUN / "analysis"


def test_the_leaderboard_ranks_every_baseline_on_the_same_scans(analysis):
    table = pd.read_csv(analysis / "leaderboard.csv")
    table = table[(table.set == "simulated") & (table.target == "dice") & (table.replicate == 0)]
    for baseline in ("tta", "mc-dropout", "ensemble"):
        assert set(table[table.aggregation == baseline].score) == DISAGREEMENT
    assert set(table[table.aggregation == "coupled"].score) == {"total_variance", "entropy"}
    assert table.n_scans.nunique() == 1
    assert table[["rho", "aurc", "auroc"]].notna().all(axis=1).sum() >= 10
    assert sorted(table["rank"].dropna()) == list(range(1, table["rank"].notna().sum() + 1))


def test_the_spread_over_three_trainings_stands_beside_each_correlation(analysis):
    spread = pd.read_csv(analysis / "replicates.csv")
    ours = spread[
        (spread.set == "simulated") & (spread.score == "artefact_uncertainty") & (spread.aggregation == "mean")
    ]
    assert ours.n_replicates.item() == 3 and ours.rho_seed_sd.item() > 0
    assert ours.rho_lowest.item() < ours.rho_mean.item() < ours.rho_highest.item()
    rhos = pd.read_csv(analysis / "correlation.csv").query(
        "set == 'simulated' and score == 'artefact_uncertainty' and aggregation == 'mean'"
    )
    assert sorted(rhos.replicate) == [0, 1, 2]
    assert rhos.rho.std() == pytest.approx(ours.rho_seed_sd.item())
    board = pd.read_csv(analysis / "leaderboard.csv").query("set == 'simulated' and aggregation == 'mean'")
    assert set(board[board.score == "artefact_uncertainty"].rho_seed_sd.round(9)) == {round(ours.rho_seed_sd.item(), 9)}
