"""Write every test subject with each of its simulated artefacts outside the brain alone."""

from pathlib import Path

from decoupled_qc.jobs import start
from decoupled_qc.scan_table import read_conditions
from decoupled_qc.simulation import conditions, outside

start(snakemake.log[0], snakemake.threads, snakemake.output)
simulated = read_conditions(snakemake.input.simulated)


def make(image, subject, number):
    return outside.outside(image, simulated[simulated["subject"] == subject])


conditions.write_condition(Path(snakemake.input.manifest), Path(snakemake.output[0]), outside.CONDITION, make)
