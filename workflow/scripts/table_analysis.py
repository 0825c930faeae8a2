"""Write an analysis table as a paper prints it."""

import pandas as pd

from decoupled_qc.analysis.scores import is_stand_in, read_wide
from decoupled_qc.jobs import start
from decoupled_qc.paper import analysis_tables, typeset

start(snakemake.log[0], snakemake.threads, snakemake.output)
files, name = snakemake.output, snakemake.wildcards.analysis
table = pd.read_csv(snakemake.input.table)
stand_in = is_stand_in(read_wide(snakemake.input.scores, snakemake.input.manifest))
settings = {
    "leaderboard": {"stand_in": stand_in},
    "difference": {"stand_in": stand_in},
    "risk_coverage": {"dice_cut": snakemake.params.dice_cut},
    **{
        name: {"artefacts": snakemake.params.artefacts}
        for name in ("correlation", "decoupling", "segmentation", "severity")
    },
}
shown = table if name == "leaderboard" else table[table["model"] == "student"]
parts = getattr(analysis_tables, f"{name}_parts")(shown, **settings.get(name, {}))
typeset.write(*parts, files.csv, files.markdown, files.latex, files.text)
