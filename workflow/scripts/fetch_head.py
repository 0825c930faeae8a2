"""Fetch, verify and unpack one head."""

from pathlib import Path

from decoupled_qc.cohort.fetch import fetch_head
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start

anatomy = snakemake.wildcards.anatomy
start(snakemake.log[0], snakemake.threads, snakemake.output)
with write_whole(snakemake.output[0]) as folder:
    folder.mkdir()
    fetch_head(
        anatomy,
        Path(snakemake.params.downloads),
        folder,
        optional=snakemake.config["cohort"]["anatomies"][anatomy][
            "optional"
        ],  # no part of what a head is: runs share it
    )
