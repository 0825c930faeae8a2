"""Ask of every score whether it finds real artefacts."""

from decoupled_qc.analysis.real import real_artefacts
from decoupled_qc.analysis.scores import read_scores, read_subjects
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
scores, subjects = read_scores(snakemake.input.scores), read_subjects(snakemake.input.manifest)
table = real_artefacts(scores, subjects, n_boot=snakemake.params.n_boot, seed=snakemake.params.seed)
with write_whole(snakemake.output[0]) as file:
    table.to_csv(file, index=False)
