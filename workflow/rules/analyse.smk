"""Statistics of scores.csv."""


rule correlate:
    input:
        scores=f"{OUT}/scores.csv",
        manifest=f"{OUT}/cohort/manifest.tsv",
    output:
        correlation=f"{OUT}/analysis/correlation.csv",
        difference=f"{OUT}/analysis/difference.csv",
    log:
        f"{OUT}/logs/analysis/correlation.log",
    benchmark:
        f"{OUT}/benchmarks/analysis/correlation.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("correlate"),
        n_boot=config["analysis"]["n_boot"],
        n_permutations=config["analysis"]["n_permutations"],
        seed=config["seed"],
    message:
        "Correlating every score with Dice and with the rating."
    script:
        "../scripts/correlate.py"
