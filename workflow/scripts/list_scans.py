"""Write down which batch predicts which scan."""

import pandas as pd

from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
with write_whole(snakemake.output[0]) as file:
    pd.DataFrame(snakemake.params.scans).to_csv(file, sep="\t", index=False)
