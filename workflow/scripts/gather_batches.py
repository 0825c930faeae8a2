"""Join the batches' tables, and put beside them what holds for all."""

from pathlib import Path

from decoupled_qc.apply.batches import check_gathered, read_batches
from decoupled_qc.apply.output import gather
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
tables = [Path(table) for table in snakemake.input.tables]
check_gathered(read_batches(Path(snakemake.input.scans)), tables)
gather(tables, Path(snakemake.output[0]))
