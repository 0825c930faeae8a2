"""Write every test subject with each of its simulated artefacts outside the brain alone."""

from pathlib import Path

from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start
from decoupled_qc.simulation import conditions, outside

start(snakemake.log[0], snakemake.threads, snakemake.output)
simulated = outside.read_simulated(snakemake.input.simulated)


def make(image, subject, number):
    return outside.outside(image, simulated[simulated["subject"] == subject])


with write_whole(snakemake.output[0]) as folder:
    folder.mkdir()
    paths = Path(snakemake.input.manifest), folder, Path(snakemake.output[0])
    conditions.write_condition(*paths, outside.CONDITION, make)
