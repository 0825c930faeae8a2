"""Draw figure 6: simulated scans from worst to best Dice."""

from decoupled_qc.analysis.scores import read_wide
from decoupled_qc.figures import style
from decoupled_qc.figures.figure_6 import figure_6
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
params = snakemake.params
wide = read_wide(snakemake.input.scores, snakemake.input.manifest)
drawing = figure_6(wide, snakemake.input.conditions, snakemake.input.predictions, params.artefacts)
style.save(drawing, **snakemake.output)
