"""Write what trusting each score is worth."""

import pandas as pd

from decoupled_qc.analysis.risk_coverage import risk_coverage
from decoupled_qc.analysis.scores import read_scores, read_subjects
from decoupled_qc.analysis.working_point import working_points
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
params = snakemake.params
run = read_scores(snakemake.input.scores), read_subjects(snakemake.input.manifest)
settings = {"dice_cuts": params.dice_cuts, "n_boot": params.n_boot, "seed": params.seed}
table = pd.concat([risk_coverage(*run, **settings), working_points(*run, **settings)])
with write_whole(snakemake.output[0]) as file:
    table.to_csv(file, index=False)
