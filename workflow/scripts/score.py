"""Write the scores of every scan of a condition."""

from pathlib import Path

from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start
from decoupled_qc.scoring import score_condition

start(snakemake.log[0], snakemake.threads)
scoring = snakemake.params.scoring
stand_in = snakemake.wildcards.condition == "real"
scores = score_condition(
    Path(snakemake.input.condition, "scans.tsv"),
    Path(snakemake.input.predictions),
    model=snakemake.wildcards.model,
    replicate=int(snakemake.wildcards.rep),
    dilation_voxels=scoring["dilation_voxels"],
    stand_in_rating_cuts=scoring["stand_in_rating_cuts"] if stand_in else None,
)
with write_whole(snakemake.output[0]) as file:
    scores.to_csv(file, index=False)
