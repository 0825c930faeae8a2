"""Draw the leaderboard of all scores."""

import pandas as pd

from decoupled_qc.analysis.scores import is_stand_in, read_wide
from decoupled_qc.figures import style
from decoupled_qc.figures.leaderboard import leaderboard
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
wide = read_wide(snakemake.input.scores, snakemake.input.manifest)
drawing = leaderboard(pd.read_csv(snakemake.input.leaderboard), stand_in=is_stand_in(wide))
style.save(drawing, **snakemake.output)
