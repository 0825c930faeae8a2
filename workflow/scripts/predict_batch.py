"""Predict one batch of scans from anywhere; what was finished before a kill is not done again."""

import logging
from pathlib import Path

from decoupled_qc.apply.folder import open_model
from decoupled_qc.apply.inputs import find_inputs
from decoupled_qc.apply.output import ERROR, alone
from decoupled_qc.apply.predict import RESOURCE_FAILED, predict_all
from decoupled_qc.errors import ResourceError
from decoupled_qc.files import sha256_of
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
params, out = snakemake.params, Path(snakemake.params.folder)
names = dict(zip(params.scans["path"], params.scans["scan"], strict=True))
build = "+".join([params.code, *(sha256_of(Path(page)) for page in snakemake.input.pages)])
with alone(out):
    inputs = find_inputs(names, out, names)
    rows, code = predict_all(inputs, out, open_model(params.model), jobs=1, earlier={}, pages=True, build=build)
for row in rows:
    if row["status"] == ERROR:
        logging.getLogger().warning(row["error"])
if code == RESOURCE_FAILED:  # so that the job is tried again, with more memory on a cluster; what is finished is kept
    raise ResourceError(
        f"Memory was not enough for some scans of {out}, see above: give the same command again with more."
    )
