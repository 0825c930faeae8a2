"""Train the task network, a teacher or the student, whichever the inputs say; go on where a stopped training was."""

from pathlib import Path

from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start
from decoupled_qc.training.checkpoint import RESTART
from decoupled_qc.training.recipe import WATCHING
from decoupled_qc.training.torchrun import train

start(snakemake.log[0], snakemake.threads, snakemake.output, stop_code=RESTART)
manifest, *frozen = (Path(path) for path in snakemake.input)
checkpoint = Path(snakemake.params.checkpoint)
with write_whole(snakemake.output[0]) as folder:
    folder.mkdir()
    train(
        snakemake.resources.get("gpu", 0),
        snakemake.log[0],
        snakemake.threads,
        manifest=manifest,
        frozen_folders=frozen,
        folder=folder,
        checkpoint=checkpoint,
        # No part of what a network is, so no params: a change trains nothing again.
        watching={key: snakemake.config["training"][key] for key in WATCHING},
        inference=snakemake.config["inference"],
        fingerprint="+".join([snakemake.params.code, *snakemake.params.artefact_code]),
        **snakemake.params.blocks,
    )
checkpoint.unlink()
