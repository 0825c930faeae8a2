"""List and audit the scans of a source."""

from pathlib import Path

from decoupled_qc.cohort.audit import write_audit
from decoupled_qc.cohort.sources import find_scans
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
params = snakemake.params
fetched = Path(snakemake.input.fetched) if snakemake.input.fetched else None
scans = find_scans(params.source, params.path, params.patterns, params.subjects, fetched)
write_audit(scans, Path(snakemake.output.audit).parent, snakemake.threads)
with write_whole(snakemake.output.listing) as file:
    scans.to_csv(file, sep="\t", index=False)
