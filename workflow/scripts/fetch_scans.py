"""Fetch and verify the scans of a public data set."""

from pathlib import Path

from decoupled_qc.cohort.openneuro import fetch
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
params = snakemake.params
table = fetch(**params.wanted, folder=Path(params.folder), subjects=params.subjects)
with write_whole(snakemake.output[0]) as file:
    table.to_csv(file, sep="\t", index=False)
