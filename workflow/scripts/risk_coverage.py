"""Write what trusting each score is worth."""

from decoupled_qc.analysis.risk_coverage import risk_coverage
from decoupled_qc.analysis.scores import read_scores, read_subjects
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads)
params = snakemake.params
scores, subjects = read_scores(snakemake.input.scores), read_subjects(snakemake.input.manifest)
table = risk_coverage(scores, subjects, dice_cuts=params.dice_cuts, n_boot=params.n_boot, seed=params.seed)
with write_whole(snakemake.output[0]) as file:
    table.to_csv(file, index=False)
