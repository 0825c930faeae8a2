"""Draw how a network's training went."""

from pathlib import Path

import pandas as pd

from decoupled_qc.figures import style
from decoupled_qc.figures.figure_training import figure_training
from decoupled_qc.jobs import start
from decoupled_qc.training.collapse import collapse_warnings

start(snakemake.log[0], snakemake.threads, snakemake.output)
looks, metrics = (pd.read_csv(Path(snakemake.input.model, name)) for name in ("held_out.csv", "metrics.csv"))
drawing = figure_training(
    metrics, looks, collapse_warnings(looks, metrics), snakemake.wildcards.model, snakemake.params.artefacts
)
style.save(drawing, **snakemake.output)
