"""Write the rated scans of the cohort; where it has none, every test subject with the artefacts of foreign simulators."""

from pathlib import Path

from decoupled_qc.jobs import start
from decoupled_qc.rating import rated
from decoupled_qc.simulation import conditions, standins

start(snakemake.log[0], snakemake.threads, snakemake.output)
params, manifest, folder = snakemake.params, Path(snakemake.input.manifest), Path(snakemake.output[0])


def make(image, subject, number):
    simulators, per_subject = params.stand_ins["simulators"], params.stand_ins["scans_per_subject"]
    return standins.stand_ins(image, subject, number, simulators, per_subject, params.seed)


if rated.has_rated(manifest):
    rated.write_rated(manifest, folder, **params.rating)
else:
    conditions.write_condition(manifest, folder, "real", make)
