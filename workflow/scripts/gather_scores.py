"""Join the scores of all conditions."""

from pathlib import Path

import pandas as pd

from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start
from decoupled_qc.scan_table import read_scan_table

start(snakemake.log[0], snakemake.threads, snakemake.output)
scores = pd.concat([read_scan_table(Path(path)) for path in snakemake.input])
with write_whole(snakemake.output[0]) as file:
    scores.to_csv(file, index=False)
