"""Write every validation subject clean and with each artefact in each band of severity."""

from pathlib import Path

from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start
from decoupled_qc.simulation import conditions

start(snakemake.log[0], snakemake.threads, snakemake.output)
params = snakemake.params


def make(image, subject, number):
    shared = {"local_probability": params.local_probability, "spacing_mm": params.spacing_mm, "seed": params.seed}
    scans = conditions.clean(image)
    for name, settings in params.settings.items():
        scans += conditions.banded(image, subject, name, params.bands, settings=settings, **shared)
    return scans


with write_whole(snakemake.output[0]) as folder:
    folder.mkdir()
    paths = Path(snakemake.input.manifest), folder, Path(snakemake.output[0])
    conditions.write_condition(*paths, "reference", make, role="validation")
