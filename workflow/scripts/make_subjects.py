"""Make all subjects of one anatomy."""

from pathlib import Path

from decoupled_qc.cohort.subjects import make_subjects
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
with write_whole(snakemake.output[0]) as folder:
    folder.mkdir()
    make_subjects(
        Path(snakemake.input[0]),
        folder,
        anatomy=snakemake.wildcards.anatomy,
        n_subjects=snakemake.params.n_subjects,
        seed=snakemake.params.seed,
        **snakemake.params.settings,
    )
