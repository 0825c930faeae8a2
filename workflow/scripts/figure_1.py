"""Draw figure 1: the same artefact at the same strength, in the grey matter in one scan and mostly outside it in another."""

from decoupled_qc.analysis.scores import read_wide
from decoupled_qc.figures import style
from decoupled_qc.figures.figure_1 import figure_1
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
wide = read_wide(snakemake.input.scores, snakemake.input.manifest)
drawing = figure_1(wide, snakemake.input.conditions, snakemake.input.predictions, snakemake.params.artefacts)
style.save(drawing, **snakemake.output)
