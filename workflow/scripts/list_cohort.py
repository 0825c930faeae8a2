"""Join the subjects of all anatomies into the manifest."""

from pathlib import Path

from decoupled_qc.cohort.subjects import write_manifest
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
write_manifest([Path(folder) for folder in snakemake.input], Path(snakemake.output[0]))
