"""Draw which head rises on which artefact."""

import pandas as pd

from decoupled_qc.figures import style
from decoupled_qc.figures.figure_leakage import figure_leakage
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
style.save(figure_leakage(pd.read_csv(snakemake.input.decoupling), snakemake.params.artefacts), **snakemake.output)
