"""Write the paper's correlations beside this run's, with difference and verdict."""

import pandas as pd

from decoupled_qc import paper_table, typeset
from decoupled_qc.analysis.scores import is_stand_in, read_wide
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads)
read, files = snakemake.input, snakemake.output
stand_in = is_stand_in(read_wide(read.scores, read.manifest))
table = paper_table.paper_table(pd.read_csv(read.table_1), pd.read_csv(read.table_2), stand_in=stand_in)
written = files.csv, files.markdown, files.latex, files.text
typeset.write(table, paper_table.TITLE, paper_table.as_cells(table), paper_table.notes(stand_in), *written)
