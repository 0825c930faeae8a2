"""Prepare and, where needed, label one batch of scans."""

from pathlib import Path

import pandas as pd

from decoupled_qc.cohort.prepare import of_batch, prepare_scans
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
params = snakemake.params
scans = pd.read_csv(snakemake.input.scans, sep="\t", dtype=str, keep_default_na=False)
with write_whole(snakemake.output[0]) as folder:
    folder.mkdir()
    prepare_scans(
        of_batch(scans, int(params.batch), params.batches),
        Path(snakemake.input.atlas),
        folder,
        spacing_mm=params.spacing_mm,
        registration_mm=params.registration_mm,
        best_rating=params.best_rating,
        cache=Path(params.cache),
        code=params.code,
    )
