"""Label the tissues of one head."""

from pathlib import Path

from decoupled_qc.cohort.label import label_head
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
with write_whole(snakemake.output[0]) as folder:
    folder.mkdir()
    label_head(
        snakemake.wildcards.anatomy,
        Path(snakemake.input.head),
        Path(snakemake.input.atlas),
        folder,
        seed=snakemake.params.seed,
        **snakemake.params.labels,
    )
