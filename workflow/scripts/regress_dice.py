"""Write what ridge regression on all measures predicts of each scan's Dice."""

from pathlib import Path

import pandas as pd

from decoupled_qc.analysis.regression import ridge_dice
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start
from decoupled_qc.scan_table import read_scan_table

start(snakemake.log[0], snakemake.threads, snakemake.output)
scores = pd.concat([read_scan_table(Path(path)) for path in snakemake.input], ignore_index=True)
with write_whole(snakemake.output[0]) as file:
    ridge_dice(scores).to_csv(file, index=False)
