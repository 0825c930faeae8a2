"""Draw figure 7: Dice against each score."""

import pandas as pd

from decoupled_qc.analysis.scores import read_wide
from decoupled_qc.figures import style
from decoupled_qc.figures.figure_7 import figure_7
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
params = snakemake.params
wide = read_wide(snakemake.input.scores, snakemake.input.manifest)
drawing = figure_7(wide, pd.read_csv(snakemake.input.correlation), params.artefacts)
style.save(drawing, **snakemake.output)
