"""The student with what validation scans tell about it → a model folder; scans from anywhere, in batches → verdicts.

Made when asked for: `-- results/<run>/model`, and `-- results/<run>/apply/predictions.csv`.
"""

from decoupled_qc.apply import batches
from decoupled_qc.apply.inputs import expand_patterns, find_inputs
from decoupled_qc.files import size_and_time

APPLY = config["apply"]
LISTED = f"{OUT}/apply/scans.tsv"
with one_sentence():
    BATCH_OF = batches.read_batches(Path(LISTED))
    if APPLY["inputs"] and workflow.is_main_process:  # a job elsewhere takes the list as it was written down
        names = dict(zip(BATCH_OF["path"], BATCH_OF["scan"]))
        found = find_inputs(expand_patterns(APPLY["inputs"]), Path(OUT, "apply"), names)
        BATCH_OF = batches.assign({str(one.path): one.scan for one in found}, BATCH_OF, APPLY["batch_size"])
SHIPPED = [*packaged("weights/*.json"), *packaged("weights/*.safetensors")]
GROUP_PAGE = [*packaged("report/style.css"), *packaged("report/group_page.[chj]*")]


rule reference_scans:
    input:
        manifest=f"{OUT}/cohort/manifest.tsv",
    output:
        directory(f"{OUT}/conditions/reference"),
    log:
        f"{OUT}/logs/conditions/reference.log",
    benchmark:
        f"{OUT}/benchmarks/conditions/reference.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("reference_scans"),
        artefact_code=[artefact_fingerprint(name) for name in ARTEFACTS],
        bands=config["reference"]["severity_bands"],
        settings={name: config["artefacts"][name] for name in ARTEFACTS},
        local_probability=config["corruption"]["local_probability"],
        spacing_mm=config["cohort"]["spacing_mm"],
        seed=config["seed"],
    message:
        "Making the validation scans that verdicts rest on."
    script:
        "../scripts/reference_scans.py"


rule reference:
    input:
        student=f"{OUT}/models/{config['reference']['network']}/rep-0",
        scans=f"{OUT}/conditions/reference",
        manifest=f"{OUT}/cohort/manifest.tsv",
        card=packaged("apply/model_card.md"),
    output:
        directory(f"{OUT}/model"),
    log:
        f"{OUT}/logs/model.log",
    benchmark:
        f"{OUT}/benchmarks/model.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: STAGES["student"]["threads"]
    resources:
        gpu=ON_GPU,
        gpu_turn=ON_GPU,
    params:
        code=fingerprint("reference"),
        inference=config["inference"],
        bands=config["reference"]["severity_bands"],
        data=config["reference"]["data"],
        target_dice=config["analysis"]["target_dice"],
        error_rate=config["analysis"]["error_rate"],
    message:
        "Measuring the student on validation scans, for its model folder."
    script:
        "../scripts/reference.py"


rule list_scans:
    output:
        LISTED,
    log:
        f"{OUT}/logs/apply/scans.log",
    benchmark:
        f"{OUT}/benchmarks/apply/scans.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("list_scans"),
        scans=BATCH_OF.to_dict("list"),
    message:
        "Writing down which batch predicts which scan."
    script:
        "../scripts/list_scans.py"


rule predict_batch:
    input:
        model=APPLY["model"] or SHIPPED,
        scans=ancient(LISTED),  # its own scans are among the params, so that those of other batches do not count
        pages=[*GROUP_PAGE, *packaged("report/scan_page.[chj]*")],
    output:
        f"{OUT}/apply/batch-{{batch}}/predictions.csv",
    log:
        f"{OUT}/logs/apply/batch-{{batch}}.log",
    benchmark:
        f"{OUT}/benchmarks/apply/batch-{{batch}}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 2
    resources:
        gpu=ON_GPU,
        gpu_turn=ON_GPU,
    params:
        code=fingerprint("predict_batch"),
        scans=lambda wildcards: batches.members(BATCH_OF, wildcards.batch).to_dict("list"),
        state=lambda wildcards: list(map(size_and_time, batches.members(BATCH_OF, wildcards.batch)["path"])),
        folder=lambda wildcards: f"{OUT}/apply/batch-{wildcards.batch}",
        model=APPLY["model"],
    message:
        "Predicting batch {wildcards.batch} of the scans."
    script:
        "../scripts/predict_batch.py"


rule gather_batches:
    input:
        tables=expand(f"{OUT}/apply/batch-{{batch}}/predictions.csv", batch=sorted(set(BATCH_OF["batch"]))),
        scans=LISTED,
        page=GROUP_PAGE,
    output:
        f"{OUT}/apply/predictions.csv",
    log:
        f"{OUT}/logs/apply/predictions.log",
    benchmark:
        f"{OUT}/benchmarks/apply/predictions.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("gather_batches"),
    message:
        "Joining the verdicts of all batches."
    script:
        "../scripts/gather_batches.py"
