"""Write how far each head answers to its own artefact alone, and where it is, and whether the variances of several add."""

import pandas as pd

from decoupled_qc.analysis.additivity import additivity
from decoupled_qc.analysis.between_heads import between_heads
from decoupled_qc.analysis.decoupling import decoupling
from decoupled_qc.analysis.localisation import localisation
from decoupled_qc.analysis.naming_accuracy import naming_accuracy
from decoupled_qc.analysis.scores import read_scores, read_subjects
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
draws = {"n_boot": snakemake.params.n_boot, "seed": snakemake.params.seed}
run = read_scores(snakemake.input.scores), read_subjects(snakemake.input.manifest)
named = naming_accuracy(*run, error_rate=snakemake.params.error_rate, **draws)
table = pd.concat([*(part(*run, **draws) for part in (decoupling, between_heads, localisation, additivity)), named])
with write_whole(snakemake.output[0]) as file:
    table.to_csv(file, index=False)
