"""Draw every artefact at rising severity on one scan."""

from pathlib import Path

from decoupled_qc.figures import style
from decoupled_qc.figures.figure_simulator import figure_simulator
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
params = snakemake.params
drawing = figure_simulator(Path(snakemake.input.clean), params.settings, spacing_mm=params.spacing_mm, seed=params.seed)
style.save(drawing, **snakemake.output)
