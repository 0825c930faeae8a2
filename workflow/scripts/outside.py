"""Write how far each score moves when an artefact lies outside the brain alone, and when it lies anywhere."""

import pandas as pd

from decoupled_qc.analysis.outside import outside_changes
from decoupled_qc.analysis.scores import read_scores, read_subjects
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
params = snakemake.params
scores = pd.concat([read_scores(path) for path in snakemake.input.scores], ignore_index=True)
table = outside_changes(scores, read_subjects(snakemake.input.manifest), n_boot=params.n_boot, seed=params.seed)
with write_whole(snakemake.output[0]) as file:
    table.to_csv(file, index=False)
