"""Write some test subjects with one artefact at each of some severities."""

from pathlib import Path

from decoupled_qc.jobs import start
from decoupled_qc.simulation import conditions

start(snakemake.log[0], snakemake.threads, snakemake.output)
artefact, params = snakemake.wildcards.artefact, snakemake.params


def make(image, subject, number):
    return conditions.sweep(
        image,
        subject,
        artefact,
        params.sweep["severities"],
        spacing_mm=params.spacing_mm,
        settings=params.settings,
        seed=params.seed,
    )


manifest, folder = Path(snakemake.input.manifest), Path(snakemake.output[0])
conditions.write_condition(manifest, folder, f"sweep-{artefact}", make, params.sweep["n_subjects"])
