"""Predict one batch of scans from anywhere; what was finished before a kill is not done again."""

import logging
from pathlib import Path

from decoupled_qc.apply.batches import read_batches
from decoupled_qc.apply.folder import open_model
from decoupled_qc.apply.inputs import find_inputs
from decoupled_qc.apply.output import ERROR, alone
from decoupled_qc.apply.predict import RESOURCE_FAILED, predict_all
from decoupled_qc.errors import ResourceError
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
out = Path(snakemake.params.folder)
listed = read_batches(Path(snakemake.input.scans))  # and not what the folders hold by now
own = listed[listed["batch"] == int(snakemake.wildcards.batch)]
names = dict(zip(own["path"], own["scan"], strict=True))
with alone(out):
    inputs = find_inputs(names, out, names)
    rows, code = predict_all(inputs, out, open_model(snakemake.params.model), jobs=1, earlier={}, pages=True)
for row in rows:
    if row["status"] == ERROR:
        logging.getLogger().warning(row["error"])
if code == RESOURCE_FAILED:  # so that the job is tried again, with more memory on a cluster; what is finished is kept
    raise ResourceError(
        f"Memory was not enough for some scans of {out}, see above: give the same command again with more."
    )
