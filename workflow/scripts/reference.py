"""Write the folder that `decoupled-qc predict --model` takes: weights, reference and model card."""

from pathlib import Path

from decoupled_qc.apply.model_card import write_model_card
from decoupled_qc.apply.reference import make_model_folder
from decoupled_qc.cohort.manifest import read_manifest
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
params = snakemake.params
with write_whole(snakemake.output[0]) as folder:
    folder.mkdir()
    measured = make_model_folder(
        Path(snakemake.input.student),
        Path(snakemake.input.scans, "scans.tsv"),
        folder,
        bands=params.bands,
        target_dice=params.target_dice,
        error_rate=params.error_rate,
        inference=params.inference,
    )
    manifest = read_manifest(Path(snakemake.input.manifest))
    write_model_card(folder, measured, manifest, params.bands, params.data)
