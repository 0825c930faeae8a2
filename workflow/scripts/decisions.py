"""Write each scan's predicted Dice and the decision that follows, and how often its interval held."""

from decoupled_qc.analysis.prediction import decision_coverage, decisions
from decoupled_qc.analysis.scores import read_scores, read_subjects
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
params = snakemake.params
scores, subjects = read_scores(snakemake.input.scores), read_subjects(snakemake.input.manifest)
table = decisions(scores, subjects, target_dice=params.target_dice, error_rate=params.error_rate)
with write_whole(snakemake.output.decisions) as file:
    table.to_csv(file, index=False)
with write_whole(snakemake.output.coverage) as file:
    decision_coverage(table, n_boot=params.n_boot, seed=params.seed).to_csv(file, index=False)
