"""Write the paper's numbers beside this run's, with difference and verdict."""

import pandas as pd

from decoupled_qc.analysis.scores import is_stand_in, read_wide
from decoupled_qc.jobs import start
from decoupled_qc.paper import paper_table, typeset

start(snakemake.log[0], snakemake.threads, snakemake.output)
read, files = snakemake.input, snakemake.output
stand_in = is_stand_in(read_wide(read.scores, read.manifest))
tables = [pd.read_csv(path) for path in (read.table_1, read.table_2)]
sweeps = pd.read_csv(read.figure_5) if read.figure_5 else pd.DataFrame(columns=["artefact"])
draws = {"n_boot": snakemake.params.n_boot, "seed": snakemake.params.seed}
table = paper_table.paper_table(*tables, sweeps, pd.read_csv(read.figure_8), stand_in=stand_in, **draws)
written = files.csv, files.markdown, files.latex, files.text
typeset.write(table, paper_table.TITLE, paper_table.as_cells(table), paper_table.notes(stand_in), *written)
