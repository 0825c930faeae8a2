"""Write how far each correlation moves between trainings of different seeds."""

import pandas as pd

from decoupled_qc.analysis.replicates import replicates
from decoupled_qc.analysis.scores import read_scores, read_subjects
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
scores = pd.concat([read_scores(path) for path in snakemake.input.scores], ignore_index=True)
with write_whole(snakemake.output[0]) as file:
    replicates(scores, read_subjects(snakemake.input.manifest)).to_csv(file, index=False)
