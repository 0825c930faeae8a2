"""Write the scores of every scan of a condition."""

from pathlib import Path

import pandas as pd

from decoupled_qc.evaluation.scoring import score_condition
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start
from decoupled_qc.rating import judgements

start(snakemake.log[0], snakemake.threads, snakemake.output)
scoring, is_real = snakemake.params.scoring, snakemake.wildcards.condition == "real"
scans = Path(snakemake.input.condition, "scans.tsv")
ratings = [Path(path) for path in snakemake.input.ratings]
is_stand_in = is_real and not ratings and not judgements.is_rated(scans)
scores = score_condition(
    scans,
    Path(snakemake.input.predictions),
    model=snakemake.wildcards.model,
    replicate=int(snakemake.wildcards.rep),
    dilation_voxels=scoring["dilation_voxels"],
    stand_in_rating_cuts=scoring["stand_in_rating_cuts"] if is_stand_in else None,
)
if is_real:
    judged = judgements.judged(scores, scans, ratings[0] if ratings else None, **snakemake.params.measures)
    scores = pd.concat([scores, judged])
with write_whole(snakemake.output[0]) as file:
    scores.to_csv(file, index=False)
