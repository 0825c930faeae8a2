"""Join the batches' tables, and put beside them what holds for all."""

from pathlib import Path

from decoupled_qc.apply.output import gather
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads)
gather([Path(table) for table in snakemake.input], Path(snakemake.output[0]))
