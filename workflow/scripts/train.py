"""Train the task network, a teacher or the student, whichever the inputs say."""

from pathlib import Path

from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start
from decoupled_qc.stages import train_stage

start(snakemake.log[0], snakemake.threads)
manifest, *frozen = (Path(path) for path in snakemake.input)
with write_whole(snakemake.output[0]) as folder:
    folder.mkdir()
    train_stage(manifest, frozen, folder, fingerprint=snakemake.params.code, **snakemake.params.blocks)
