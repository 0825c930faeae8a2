"""Draw figure 8: artefacts the network never saw."""

from decoupled_qc.analysis.scores import is_stand_in, read_wide
from decoupled_qc.figures import style
from decoupled_qc.figures.figure_8 import figure_8
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
wide = read_wide(snakemake.input.scores, snakemake.input.manifest)
folders = snakemake.input.conditions, snakemake.input.predictions
drawing = figure_8(wide, *folders, snakemake.params.artefacts, stand_in=is_stand_in(wide))
style.save(drawing, **snakemake.output)
