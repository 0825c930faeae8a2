"""Write how often error bars hold the true volume."""

from decoupled_qc.analysis.scores import read_scores, read_subjects
from decoupled_qc.analysis.volumes import volumes
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
params = snakemake.params
scores, subjects = read_scores(snakemake.input.scores), read_subjects(snakemake.input.manifest)
voxel_ml = params.spacing_mm**3 / 1000
table = volumes(scores, subjects, voxel_ml=voxel_ml, n_boot=params.n_boot, seed=params.seed)
with write_whole(snakemake.output[0]) as file:
    table.to_csv(file, index=False)
