"""Draw whether intervals of volume and of predicted Dice hold what they promise."""

import pandas as pd

from decoupled_qc.figures import style
from decoupled_qc.figures.figure_calibration import figure_calibration
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
params = snakemake.params
read = (pd.read_csv(snakemake.input[name]) for name in ("volumes", "decisions", "coverage"))
drawing = figure_calibration(*read, target_dice=params.target_dice, error_rate=params.error_rate)
style.save(drawing, **snakemake.output)
