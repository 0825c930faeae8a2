"""Write every test subject clean and with the artefacts of foreign simulators."""

from pathlib import Path

from decoupled_qc import conditions, standins
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads)
wanted, seed = snakemake.params.stand_ins, snakemake.params.seed


def make(image, subject, number):
    return standins.stand_ins(image, subject, number, wanted["simulators"], wanted["scans_per_subject"], seed)


with write_whole(snakemake.output[0]) as folder:
    folder.mkdir()
    paths = Path(snakemake.input.manifest), folder, Path(snakemake.output[0])
    conditions.write_condition(*paths, "real", make)
