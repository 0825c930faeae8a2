"""Draw risk-coverage curves and the detection of failures."""

import pandas as pd

from decoupled_qc.analysis.scores import read_wide
from decoupled_qc.figures import style
from decoupled_qc.figures.figure_risk import figure_risk
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
wide = read_wide(snakemake.input.scores, snakemake.input.manifest)
style.save(figure_risk(wide, pd.read_csv(snakemake.input.risk)), **snakemake.output)
