"""Write the test subjects' scans as they are."""

from pathlib import Path

from decoupled_qc.jobs import start
from decoupled_qc.simulation import conditions

start(snakemake.log[0], snakemake.threads, snakemake.output)


def make(image, subject, number):
    return conditions.clean(image)


conditions.write_condition(Path(snakemake.input.manifest), Path(snakemake.output[0]), "clean", make)
