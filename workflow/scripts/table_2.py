"""Write Table 2 beside the paper's."""

import pandas as pd

from decoupled_qc.analysis.scores import read_wide
from decoupled_qc.cohort.manifest import read_manifest
from decoupled_qc.jobs import start
from decoupled_qc.paper import tables, typeset
from decoupled_qc.paper.run_tables import table_of_run
from decoupled_qc.rating.judgements import read_rater_table

start(snakemake.log[0], snakemake.threads, snakemake.output)
read, files = snakemake.input, snakemake.output
table = tables.correlation_table(pd.read_csv(read.correlation), "real", pd.read_csv(read.replicates))
wide, manifest = read_wide(read.scores, read.manifest), read_manifest(read.manifest)
parts = table_of_run(table, wide, manifest, [read_rater_table(path) for path in read.ratings])
typeset.write(table, *parts, files.csv, files.markdown, files.latex, files.text)
