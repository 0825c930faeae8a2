"""Write every test subject with one artefact at a random severity."""

from pathlib import Path

from decoupled_qc.jobs import start
from decoupled_qc.simulation import conditions

start(snakemake.log[0], snakemake.threads, snakemake.output)
artefact, params = snakemake.wildcards.artefact, snakemake.params


def make(image, subject, number):
    return conditions.simulated(
        image,
        subject,
        artefact,
        spacing_mm=params.spacing_mm,
        settings=params.settings,
        local_probability=params.local_probability,
        seed=params.seed,
    )


conditions.write_condition(Path(snakemake.input.manifest), Path(snakemake.output[0]), f"sim-{artefact}", make)
