"""Write the run's report."""

from pathlib import Path

import pandas as pd

from decoupled_qc.analysis.scores import is_stand_in, read_wide
from decoupled_qc.cohort.manifest import read_manifest
from decoupled_qc.costs import cost_table
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start
from decoupled_qc.provenance import versions
from decoupled_qc.report.page import Picture, render

start(snakemake.log[0], snakemake.threads)
files, params = snakemake.input, snakemake.params
page = render(
    run=params.run,
    table_1=pd.read_csv(files.table_1),
    table_2=pd.read_csv(files.table_2),
    difference=pd.read_csv(files.difference),
    pictures=[
        Picture(
            f"Figure {name}" if isinstance(name, int) else name.capitalize(),
            Path(png),
            Path(caption).read_text(),
        )
        for name, png, caption in zip(params.figures, files.figures, files.captions, strict=True)
    ],
    manifest=read_manifest(files.manifest),
    diagnostics={
        name: pd.read_csv(Path(folder, "diagnostics.csv"))
        for name, folder in zip(params.networks, files.networks, strict=True)
    },
    trainings={
        name: Picture(f"Training of {name}", Path(png), Path(caption).read_text())
        for name, png, caption in zip(params.networks, files.trainings, files.training_captions, strict=True)
    },
    costs=cost_table(Path(params.benchmarks), Path(params.logs), params.gpus_per_job),
    stand_in=is_stand_in(read_wide(files.scores, files.manifest)),
    versions=versions(),
)
with write_whole(snakemake.output[0]) as file:
    file.write_text(page)
