"""Write Table 2 beside the paper's."""

import pandas as pd

from decoupled_qc import tables, typeset
from decoupled_qc.agreement import agreement
from decoupled_qc.analysis.scores import RATED_STAND_IN, is_stand_in, read_wide
from decoupled_qc.cohort.manifest import read_manifest
from decoupled_qc.jobs import start
from decoupled_qc.rated import read_rater_table

start(snakemake.log[0], snakemake.threads)
table = tables.correlation_table(pd.read_csv(snakemake.input.correlation), "real")
wide = read_wide(snakemake.input.scores, snakemake.input.manifest)
stand_in = is_stand_in(wide)
labels = tables.labels_of(read_manifest(snakemake.input.manifest), "real", stand_in)
title, cells, notes = tables.parts(table, stand_in, rated=f"rating:{RATED_STAND_IN}" in wide, labels=labels)
for path in snakemake.input.ratings:
    ratings = read_rater_table(path)
    shown = wide.loc[wide["condition"] == "real", "scan"]
    notes += tables.rater_notes(agreement(ratings[ratings["scan"].isin(shown)]))
files = snakemake.output
typeset.write(table, title, cells, notes, files.csv, files.markdown, files.latex, files.text)
