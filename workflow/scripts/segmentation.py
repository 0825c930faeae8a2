"""Write how good the segmentation is and how well its probabilities are calibrated."""

from decoupled_qc.analysis.scores import read_scores, read_subjects
from decoupled_qc.analysis.segmentation import segmentation
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
params = snakemake.params
scores, subjects = read_scores(snakemake.input.scores), read_subjects(snakemake.input.manifest)
table = segmentation(scores, subjects, n_boot=params.n_boot, seed=params.seed)
with write_whole(snakemake.output[0]) as file:
    table.to_csv(file, index=False)
