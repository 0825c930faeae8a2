"""Write what is predicted of each scan's Dice: by ridge regression on all measures, and by all variances as in a verdict."""

from pathlib import Path

import pandas as pd

from decoupled_qc.analysis.regression import ridge_dice
from decoupled_qc.analysis.variance_dice import variance_dice
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start
from decoupled_qc.scan_table import read_scan_table

start(snakemake.log[0], snakemake.threads, snakemake.output)
scores = pd.concat([read_scan_table(Path(path)) for path in snakemake.input], ignore_index=True)
with write_whole(snakemake.output[0]) as file:
    pd.concat([ridge_dice(scores), variance_dice(scores)]).to_csv(file, index=False)
