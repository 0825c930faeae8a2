"""Heads from ordinary packages → labelled anatomies → distinct subjects → the manifest."""

from decoupled_qc.cohort import plan, sources

COHORT = config["cohort"]
HEADS = COHORT["source"] == "heads"
with one_sentence():
    ANATOMIES = plan.anatomies_in_use(COHORT["anatomies"]) if HEADS else []
    if HEADS:
        if workflow.is_main_process:
            from decoupled_qc.cohort.fetch import check_names

            check_names(COHORT["anatomies"])
        plan.check_heads(COHORT["anatomies"], Path("resources/heads"))
    else:
        sources.check(
            COHORT["source"], COHORT["scans"]["path"] if COHORT["scans"]["fetch"] is None else workflow.basedir
        )


rule fetch_head:
    output:
        directory("resources/heads/{anatomy}"),
    log:
        f"{OUT}/logs/heads/{{anatomy}}.log",
    benchmark:
        f"{OUT}/benchmarks/heads/{{anatomy}}.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("fetch_head"),
        downloads="resources/downloads",
    message:
        "Fetching the head {wildcards.anatomy}."
    script:
        "../scripts/fetch_head.py"


rule label_head:
    input:
        head="resources/heads/{anatomy}",
        atlas="resources/heads/icbm152",
    output:
        directory(f"{OUT}/cohort/anatomies/{{anatomy}}"),
    log:
        f"{OUT}/logs/cohort/anatomies/{{anatomy}}.log",
    benchmark:
        f"{OUT}/benchmarks/cohort/anatomies/{{anatomy}}.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("label_head"),
        labels=COHORT["labels"],
        seed=config["seed"],
    message:
        "Labelling the tissues of {wildcards.anatomy}."
    script:
        "../scripts/label_head.py"


rule make_subjects:
    input:
        f"{OUT}/cohort/anatomies/{{anatomy}}",
    output:
        directory(f"{OUT}/cohort/subjects/{{anatomy}}"),
    log:
        f"{OUT}/logs/cohort/subjects/{{anatomy}}.log",
    benchmark:
        f"{OUT}/benchmarks/cohort/subjects/{{anatomy}}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 4
    params:
        code=fingerprint("make_subjects"),
        n_subjects=lambda wildcards: plan.numbers_of_subjects(COHORT["anatomies"][wildcards.anatomy]),
        settings={key: COHORT[key] for key in ("spacing_mm", "warp", "appearance", "acquisition")},
        seed=config["seed"],
    message:
        "Making subjects from {wildcards.anatomy}."
    script:
        "../scripts/make_subjects.py"


rule list_cohort:
    input:
        (
            expand(f"{OUT}/cohort/subjects/{{anatomy}}", anatomy=ANATOMIES)
            if HEADS
            else expand(f"{OUT}/cohort/scans/batch-{{batch}}", batch=range(COHORT["scans"]["batches"]))
        ),
    output:
        f"{OUT}/cohort/manifest.tsv",
    log:
        f"{OUT}/logs/cohort/manifest.log",
    benchmark:
        f"{OUT}/benchmarks/cohort/manifest.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("list_cohort"),
    message:
        "Listing the cohort."
    script:
        "../scripts/list_cohort.py"
