"""Predict one batch of scans from anywhere; what was finished before a kill is not done again."""

from pathlib import Path

from decoupled_qc.apply.folder import open_model
from decoupled_qc.apply.inputs import find_inputs
from decoupled_qc.apply.output import alone
from decoupled_qc.apply.predict import predict_all
from decoupled_qc.batches import read_batches
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
out = Path(snakemake.params.folder)
listed = read_batches(Path(snakemake.input.scans))  # and not what the folders hold by now
own = listed[listed["batch"] == int(snakemake.wildcards.batch)]
names = dict(zip(own["path"], own["scan"], strict=True))
with alone(out):
    inputs = find_inputs(names, out, names)
    predict_all(inputs, out, open_model(snakemake.params.model), jobs=1, earlier={}, pages=True)
