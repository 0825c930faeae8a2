"""Draw figure 5: grey-matter volume with error bars as an artefact grows."""

from decoupled_qc.analysis.scores import read_wide
from decoupled_qc.figures import style
from decoupled_qc.figures.figure_5 import figure_5
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
params = snakemake.params
wide = read_wide(snakemake.input.scores, snakemake.input.manifest)
drawing = figure_5(wide, snakemake.input.conditions, params.artefacts, bars=params.bars, spacing_mm=params.spacing_mm)
style.save(drawing, **snakemake.output)
