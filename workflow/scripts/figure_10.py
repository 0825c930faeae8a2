"""Draw figure 10: rating against each score."""

import pandas as pd

from decoupled_qc.analysis.scores import is_stand_in, read_wide
from decoupled_qc.figures import style
from decoupled_qc.figures.figure_10 import figure_10
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
params = snakemake.params
wide = read_wide(snakemake.input.scores, snakemake.input.manifest)
drawing = figure_10(
    wide, pd.read_csv(snakemake.input.correlation), params.artefacts, stand_in=is_stand_in(wide), levels=params.levels
)
style.save(drawing, **snakemake.output)
