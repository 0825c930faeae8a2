"""Write Table 1 beside the paper's."""

import pandas as pd

from decoupled_qc import tables, typeset
from decoupled_qc.analysis.scores import is_stand_in, read_wide
from decoupled_qc.cohort.manifest import read_manifest
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads)
table = tables.correlation_table(pd.read_csv(snakemake.input.correlation), "simulated")
stand_in = is_stand_in(read_wide(snakemake.input.scores, snakemake.input.manifest))
labels = tables.labels_of(read_manifest(snakemake.input.manifest), "simulated", stand_in)
files = snakemake.output
typeset.write(table, *tables.parts(table, stand_in, labels=labels), files.csv, files.markdown, files.latex, files.text)
with write_whole(files.side_by_side) as file:
    file.write_text(tables.side_by_side(table))
