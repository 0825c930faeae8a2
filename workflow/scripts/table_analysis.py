"""Write an analysis table as a paper prints it."""

import pandas as pd

from decoupled_qc import analysis_tables, typeset
from decoupled_qc.analysis.scores import is_stand_in, read_wide
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
files, name = snakemake.output, snakemake.wildcards.analysis
table = pd.read_csv(snakemake.input.table)
stand_in = is_stand_in(read_wide(snakemake.input.scores, snakemake.input.manifest))
if name == "leaderboard":
    parts = analysis_tables.leaderboard_parts(table, stand_in)
else:
    parts = getattr(analysis_tables, f"{name}_parts")(table[table["model"] == "student"])
typeset.write(parts[1], *parts, files.csv, files.markdown, files.latex, files.text)
