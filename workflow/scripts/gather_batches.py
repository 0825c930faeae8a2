"""Join the batches' tables, put beside them what holds for all, and write the page of all scans."""

from pathlib import Path

from decoupled_qc.apply.output import gather
from decoupled_qc.jobs import start
from decoupled_qc.report.group_page import write_group_page

start(snakemake.log[0], snakemake.threads)
gather([Path(table) for table in snakemake.input], Path(snakemake.output[0]))
write_group_page(Path(snakemake.output[0]).parent)
