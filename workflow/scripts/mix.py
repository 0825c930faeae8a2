"""Write every test subject with each mixture of artefacts, in the realisations that they have alone."""

from pathlib import Path

from decoupled_qc.jobs import start
from decoupled_qc.simulation import conditions

start(snakemake.log[0], snakemake.threads, snakemake.output)
params = snakemake.params


def make(image, subject, number):
    return conditions.mixed(
        image,
        subject,
        params.mixtures,
        spacing_mm=params.spacing_mm,
        settings=params.settings,
        local_probability=params.local_probability,
        seed=params.seed,
    )


conditions.write_condition(Path(snakemake.input.manifest), Path(snakemake.output[0]), "mix", make)
