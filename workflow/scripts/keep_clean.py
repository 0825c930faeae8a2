"""Write the test subjects' scans as they are."""

from pathlib import Path

from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start
from decoupled_qc.simulation import conditions

start(snakemake.log[0], snakemake.threads, snakemake.output)


def make(image, subject, number):
    return conditions.clean(image)


with write_whole(snakemake.output[0]) as folder:
    folder.mkdir()
    paths = Path(snakemake.input.manifest), folder, Path(snakemake.output[0])
    conditions.write_condition(*paths, "clean", make)
