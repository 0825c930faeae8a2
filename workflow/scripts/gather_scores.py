"""Join the scores of all conditions."""

import pandas as pd

from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
scores = pd.concat([pd.read_csv(path, keep_default_na=False) for path in snakemake.input])
with write_whole(snakemake.output[0]) as file:
    scores.to_csv(file, index=False)
