"""Write a baseline's scores of every scan of a condition."""

from pathlib import Path

from decoupled_qc.evaluation.baselines import score_baseline
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
scores = score_baseline(
    [Path(folder) for folder in snakemake.input.models],
    Path(snakemake.input.condition, "scans.tsv"),
    name=snakemake.wildcards.baseline,
    about=("student", 0),
    **snakemake.params.blocks,
)
with write_whole(snakemake.output[0]) as file:
    scores.to_csv(file, index=False)
