"""Write how well each score ranks scans by quality, how much better ours does than the others, and how far ranks range."""

from decoupled_qc.analysis.correlation import correlate
from decoupled_qc.analysis.difference import difference
from decoupled_qc.analysis.rank_ranges import rank_ranges
from decoupled_qc.analysis.scores import read_scores, read_subjects
from decoupled_qc.files import write_whole
from decoupled_qc.jobs import start

start(snakemake.log[0], snakemake.threads, snakemake.output)
scores, subjects = read_scores(snakemake.input.scores), read_subjects(snakemake.input.manifest)
draws = {"n_boot": snakemake.params.n_boot, "seed": snakemake.params.seed}
with write_whole(snakemake.output.correlation) as file:
    correlate(scores, subjects, n_permutations=snakemake.params.n_permutations, **draws).to_csv(file, index=False)
with write_whole(snakemake.output.difference) as file:
    difference(scores, subjects, **draws).to_csv(file, index=False)
with write_whole(snakemake.output.ranks) as file:
    rank_ranges(scores, subjects, **draws).to_csv(file, index=False)
