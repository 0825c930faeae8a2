"""Artefacts outside the brain alone: do image measures react, and the uncertainty of the task not?

Made when asked for: `-- results/<run>/analysis/outside.csv`.
"""


rule confine_outside:
    input:
        manifest=f"{OUT}/cohort/manifest.tsv",
        simulated=expand(f"{OUT}/conditions/sim-{{artefact}}", artefact=ARTEFACTS),
    output:
        directory(f"{OUT}/conditions/outside"),
    log:
        f"{OUT}/logs/conditions/outside.log",
    benchmark:
        f"{OUT}/benchmarks/conditions/outside.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("confine_outside"),
    message:
        "Confining every artefact to what lies outside the brain."
    script:
        "../scripts/confine_outside.py"


rule compare_outside:
    input:
        scores=expand(f"{OUT}/scores/student/rep-0/{{condition}}.csv", condition=[*SIMULATED, "outside"]),
        manifest=f"{OUT}/cohort/manifest.tsv",
    output:
        f"{OUT}/analysis/outside.csv",
    log:
        f"{OUT}/logs/analysis/outside.log",
    benchmark:
        f"{OUT}/benchmarks/analysis/outside.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("outside"),
        n_boot=config["analysis"]["n_boot"],
        seed=config["seed"],
    message:
        "Measuring what artefacts outside the brain change."
    script:
        "../scripts/outside.py"
