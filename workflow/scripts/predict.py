"""Write a model's maps of every scan of a condition."""

from pathlib import Path

from decoupled_qc.files import write_whole
from decoupled_qc.inference import predict_condition
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
with write_whole(snakemake.output[0]) as folder:
    folder.mkdir()
    predict_condition(
        Path(snakemake.input.model), Path(snakemake.input.condition, "scans.tsv"), folder, snakemake.params.inference
    )
