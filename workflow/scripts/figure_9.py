"""Draw figure 9: the worst and the best scans of the real set."""

from decoupled_qc.analysis.scores import is_stand_in, read_wide
from decoupled_qc.figures import style
from decoupled_qc.figures.figure_9 import figure_9
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
wide = read_wide(snakemake.input.scores, snakemake.input.manifest)
folders = snakemake.input.conditions, snakemake.input.predictions
params = snakemake.params
drawing = figure_9(wide, *folders, params.artefacts, stand_in=is_stand_in(wide), levels=params.levels)
style.save(drawing, **snakemake.output)
