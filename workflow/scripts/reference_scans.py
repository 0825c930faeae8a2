"""Write every validation subject clean and with each artefact in each band of severity."""

from pathlib import Path

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


conditions.write_condition(
    Path(snakemake.input.manifest), Path(snakemake.output[0]), "reference", make, role="validation"
)
