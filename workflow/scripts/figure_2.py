"""Draw figure 2: the three stages of training."""

from decoupled_qc.figures import style
from decoupled_qc.figures.figure_2 import figure_2
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
asked = snakemake.params
drawing = figure_2(asked.artefacts, **asked.settings)
style.save(drawing, **snakemake.output)
