"""Draw Dice and artefact uncertainty along severity."""

import pandas as pd

from decoupled_qc.analysis.scores import read_wide
from decoupled_qc.figures import style
from decoupled_qc.figures.figure_severity import figure_severity
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
wide = read_wide(snakemake.input.scores, snakemake.input.manifest)
drawing = figure_severity(wide, pd.read_csv(snakemake.input.trend), snakemake.params.artefacts)
style.save(drawing, **snakemake.output)
