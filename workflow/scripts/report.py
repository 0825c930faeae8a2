"""Write the run's report."""

from pathlib import Path

import pandas as pd

from decoupled_qc.analysis.scores import is_rated_stand_in, is_stand_in, read_wide
from decoupled_qc.cohort.manifest import read_manifest
from decoupled_qc.costs import cost_table
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start
from decoupled_qc.paper.analysis_tables import correlation_parts, segmentation_parts
from decoupled_qc.paper.run_tables import table_of_run
from decoupled_qc.provenance import versions
from decoupled_qc.rating.judgements import read_rater_table
from decoupled_qc.report.page import Picture, render

start(snakemake.log[0], snakemake.threads, snakemake.output)
files, params = snakemake.input, snakemake.params
table_1, table_2 = pd.read_csv(files.table_1), pd.read_csv(files.table_2)
wide, manifest = read_wide(files.scores, files.manifest), read_manifest(files.manifest)
page = render(
    run=params.run,
    headline=table_1.iloc[0],
    paper_tables=[
        table_of_run(table_1, wide, manifest, []),
        correlation_parts(pd.read_csv(files.correlation), params.artefacts)[1:],
        table_of_run(table_2, wide, manifest, [read_rater_table(path) for path in files.ratings]),
        segmentation_parts(pd.read_csv(files.segmentation), params.artefacts)[1:],
    ],
    difference=pd.read_csv(files.difference),
    pictures=[
        Picture(
            f"Figure {name}" if isinstance(name, int) else name.capitalize(),
            Path(png),
            Path(caption).read_text(),
        )
        for name, png, caption in zip(params.figures, files.figures, files.captions, strict=True)
    ],
    real_artefacts=pd.read_csv(files.real_artefacts) if files.real_artefacts else None,
    manifest=manifest,
    diagnostics={
        name: pd.read_csv(Path(folder, "diagnostics.csv"))
        for name, folder in zip(params.networks, files.networks, strict=True)
    },
    trainings={
        name: Picture(f"Training of {name}", Path(png), Path(caption).read_text())
        for name, png, caption in zip(params.networks, files.trainings, files.training_captions, strict=True)
    },
    costs=cost_table(Path(params.benchmarks), Path(params.logs), params.gpus_per_job),
    stand_in=is_stand_in(wide),
    rated=is_rated_stand_in(wide),
    versions=versions(),
)
with write_whole(snakemake.output[0]) as file:
    file.write_text(page)
