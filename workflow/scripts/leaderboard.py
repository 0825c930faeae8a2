"""Write one row per score, the strongest first."""

import pandas as pd

from decoupled_qc.analysis.leaderboard import leaderboard
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
tables = [pd.read_csv(snakemake.input[name]) for name in ("correlation", "risk", "replicates", "ranks")]
with write_whole(snakemake.output[0]) as file:
    leaderboard(*tables, dice_cut=snakemake.params.dice_cut).to_csv(file, index=False)
