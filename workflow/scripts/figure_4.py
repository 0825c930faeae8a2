"""Draw figure 4: what the network says of each simulated artefact."""

from decoupled_qc.analysis.scores import read_wide
from decoupled_qc.figures import style
from decoupled_qc.figures.figure_4 import figure_4
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
params = snakemake.params
wide = read_wide(snakemake.input.scores, snakemake.input.manifest)
drawing = figure_4(
    wide,
    snakemake.input.conditions,
    snakemake.input.predictions,
    params.artefacts,
    example_severity=params.example_severity,
)
style.save(drawing, **snakemake.output)
