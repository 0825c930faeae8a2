"""Write Table 1 beside the paper's."""

import pandas as pd

from decoupled_qc.analysis.scores import read_wide
from decoupled_qc.cohort.manifest import read_manifest
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start
from decoupled_qc.paper import tables, typeset
from decoupled_qc.paper.run_tables import table_of_run

start(snakemake.log[0], snakemake.threads, snakemake.output)
read, files = snakemake.input, snakemake.output
table = tables.correlation_table(pd.read_csv(read.correlation), "simulated", pd.read_csv(read.replicates))
parts = table_of_run(table, read_wide(read.scores, read.manifest), read_manifest(read.manifest), [])
typeset.write(table, *parts, files.csv, files.markdown, files.latex, files.text)
with write_whole(files.side_by_side) as file:
    file.write_text(tables.side_by_side(table))
