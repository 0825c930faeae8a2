"""Give every admitted subject its role."""

import pandas as pd

from decoupled_qc.cohort.splits import admit, chosen, split
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
params, read = snakemake.params, snakemake.input
tables = (pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False) for path in (read.listing, read.audit))
scans = admit(*tables, **params.admission)
splits = split(scans, params.roles, read.earlier or None, params.seed)
for table, path in ((splits, snakemake.output.splits), (chosen(scans, splits), snakemake.output.scans)):
    with write_whole(path) as file:
        table.to_csv(file, sep="\t", index=False)
