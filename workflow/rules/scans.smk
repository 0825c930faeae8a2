"""Real scans of a BIDS folder or a table → audit → roles → prepared and labelled in batches."""

SCANS = COHORT["scans"]


rule audit_scans:
    output:
        listing=f"{OUT}/cohort/listing.tsv",
        audit=f"{OUT}/cohort/audit.tsv",
        page=f"{OUT}/cohort/audit.html",
    log:
        f"{OUT}/logs/cohort/audit.log",
    benchmark:
        f"{OUT}/benchmarks/cohort/audit.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("audit_scans"),
        source_code=lambda wildcards: source_fingerprint(COHORT["source"]),
        source=COHORT["source"],
        path=SCANS["path"],
        pattern=SCANS["pattern"],
        subjects=SCANS["subjects"],
    message:
        "Auditing the scans."
    script:
        "../scripts/audit_scans.py"


rule split_scans:
    input:
        listing=f"{OUT}/cohort/listing.tsv",
        audit=f"{OUT}/cohort/audit.tsv",
    output:
        f"{OUT}/cohort/splits.tsv",
    log:
        f"{OUT}/logs/cohort/splits.log",
    benchmark:
        f"{OUT}/benchmarks/cohort/splits.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("split_scans"),
        roles=SCANS["roles"],
        earlier=SCANS["splits"],
        strict=SCANS["strict"],
        min_subjects=SCANS["min_subjects"],
        seed=config["seed"],
    message:
        "Giving every subject its role."
    script:
        "../scripts/split_scans.py"


rule prepare_scans:
    input:
        listing=f"{OUT}/cohort/listing.tsv",
        audit=f"{OUT}/cohort/audit.tsv",
        splits=f"{OUT}/cohort/splits.tsv",
        atlas="resources/heads/icbm152",
    output:
        directory(f"{OUT}/cohort/scans/batch-{{batch}}"),
    log:
        f"{OUT}/logs/cohort/scans/batch-{{batch}}.log",
    benchmark:
        f"{OUT}/benchmarks/cohort/scans/batch-{{batch}}.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("prepare_scans"),
        batch=lambda wildcards: wildcards.batch,
        batches=SCANS["batches"],
        spacing_mm=COHORT["spacing_mm"],
        registration_mm=COHORT["labels"]["registration_mm"],
    message:
        "Preparing batch {wildcards.batch} of the scans."
    script:
        "../scripts/prepare_scans.py"
