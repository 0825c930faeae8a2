"""Give every admitted subject its role."""

import pandas as pd

from decoupled_qc.cohort.splits import admit, split
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads)
params = snakemake.params
tables = (pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False) for path in snakemake.input)
scans = admit(*tables, strict=params.strict, min_subjects=params.min_subjects)
with write_whole(snakemake.output[0]) as file:
    split(scans, params.roles, params.earlier, params.seed).to_csv(file, sep="\t", index=False)
