"""Draw figure 3: the simulated artefacts on one scan."""

from decoupled_qc.analysis.scores import read_wide
from decoupled_qc.figures import style
from decoupled_qc.figures.figure_3 import figure_3
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
params = snakemake.params
wide = read_wide(snakemake.input.scores, snakemake.input.manifest)
drawing = figure_3(wide, snakemake.input.conditions, params.artefacts, example_severity=params.example_severity)
style.save(drawing, **snakemake.output)
