"""Real scans of a BIDS folder or a table, fetched if asked for → audit → roles → prepared and labelled in batches.

Labels are kept beside the checkpoints of trainings, for a batch that was stopped: they are no declared output either.
"""

SCANS = COHORT["scans"]
FETCH = SCANS["fetch"]
if SCANS["splits"] and not Path(SCANS["splits"]).is_file():
    raise WorkflowError(f"{SCANS['splits']} does not exist: correct config key cohort.scans.splits.")
SCANS_PATH = f"resources/openneuro/{FETCH['dataset']}" if FETCH else SCANS["path"]
CHOSEN = SCANS["pattern"] if isinstance(SCANS["pattern"], list) else [SCANS["pattern"]]
PATTERNS = [*CHOSEN, *([SCANS["real"]] if SCANS["real"] else [])]


rule fetch_scans:
    output:
        f"{OUT}/cohort/fetched.tsv",
    log:
        f"{OUT}/logs/cohort/fetched.log",
    benchmark:
        f"{OUT}/benchmarks/cohort/fetched.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("fetch_scans"),
        wanted=FETCH,
        folder=SCANS_PATH,
        subjects=SCANS["subjects"],
    message:
        "Fetching the scans of a public data set."
    script:
        "../scripts/fetch_scans.py"


rule audit_scans:
    input:
        fetched=f"{OUT}/cohort/fetched.tsv" if FETCH else [],
        page=packaged("cohort/audit.html"),
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
    threads: 2
    params:
        code=fingerprint("audit_scans"),
        source_code=lambda wildcards: source_fingerprint(COHORT["source"]),
        source=COHORT["source"],
        path=SCANS_PATH,
        patterns=PATTERNS,
        subjects=SCANS["subjects"],
        state=lambda wildcards: (
            None if FETCH else state_of_scans(COHORT["source"], SCANS_PATH, tuple(PATTERNS), SCANS["subjects"])
        ),
    message:
        "Auditing the scans."
    script:
        "../scripts/audit_scans.py"


rule split_scans:
    input:
        listing=f"{OUT}/cohort/listing.tsv",
        audit=f"{OUT}/cohort/audit.tsv",
        earlier=SCANS["splits"] or [],
    output:
        splits=f"{OUT}/cohort/splits.tsv",
        scans=f"{OUT}/cohort/scans.tsv",
    log:
        f"{OUT}/logs/cohort/splits.log",
    benchmark:
        f"{OUT}/benchmarks/cohort/splits.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("split_scans"),
        roles=SCANS["roles"],
        admission={key: SCANS[key] for key in ("pattern", "good", "real", "strict", "min_subjects")},
        seed=config["seed"],
    message:
        "Giving every subject its role."
    script:
        "../scripts/split_scans.py"


rule prepare_scans:
    input:
        scans=f"{OUT}/cohort/scans.tsv",
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
        best_rating=SCANS["rating"]["best"],
        cache=f"{OUT}/checkpoints/labels",
    message:
        "Preparing batch {wildcards.batch} of the scans."
    script:
        "../scripts/prepare_scans.py"
