"""Task network → one teacher per artefact, in parallel → student; and variants of the student, made when asked for.

A training that was stopped goes on from its checkpoint. That is no declared output: Snakemake removes those of a failed job.
"""


rule train_task:
    input:
        manifest=f"{OUT}/cohort/manifest.tsv",
    output:
        directory(f"{OUT}/models/task/rep-{{rep}}"),
    log:
        f"{OUT}/logs/models/task/rep-{{rep}}.log",
    benchmark:
        f"{OUT}/benchmarks/models/task/rep-{{rep}}.tsv"
    priority: 10
    conda:
        "../../envs/environment.yaml"
    threads: STAGES["task"]["threads"]
    resources:
        gpu=config["gpus_per_job"],
        gpu_turn=ON_GPU,
    params:
        code=fingerprint("train"),
        artefact_code=[],
        blocks=lambda wildcards: training_params("task", [], wildcards.rep),
        checkpoint=f"{OUT}/checkpoints/task-rep-{{rep}}.pt",
    message:
        "Training the task network on clean volumes."
    script:
        "../scripts/train.py"


use rule train_task as train_teacher with:
    input:
        manifest=f"{OUT}/cohort/manifest.tsv",
        task=f"{OUT}/models/task/rep-{{rep}}",
    output:
        directory(f"{OUT}/models/teacher-{{artefact}}/rep-{{rep}}"),
    log:
        f"{OUT}/logs/models/teacher-{{artefact}}/rep-{{rep}}.log",
    benchmark:
        f"{OUT}/benchmarks/models/teacher-{{artefact}}/rep-{{rep}}.tsv"
    threads: STAGES["teacher"]["threads"]
    params:
        code=fingerprint("train"),
        artefact_code=lambda wildcards: [
            artefact_fingerprint(name) for name in [wildcards.artefact, *others_of("teacher", [wildcards.artefact])]
        ],
        blocks=lambda wildcards: training_params("teacher", [wildcards.artefact], wildcards.rep),
        checkpoint=f"{OUT}/checkpoints/teacher-{{artefact}}-rep-{{rep}}.pt",
    message:
        "Training the {wildcards.artefact} teacher."


use rule train_task as train_student with:
    input:
        manifest=f"{OUT}/cohort/manifest.tsv",
        task=f"{OUT}/models/task/rep-{{rep}}",
        teachers=expand(f"{OUT}/models/teacher-{{artefact}}/rep-{{{{rep}}}}", artefact=ARTEFACTS),
    output:
        directory(f"{OUT}/models/student/rep-{{rep}}"),
    log:
        f"{OUT}/logs/models/student/rep-{{rep}}.log",
    benchmark:
        f"{OUT}/benchmarks/models/student/rep-{{rep}}.tsv"
    threads: STAGES["student"]["threads"]
    params:
        code=fingerprint("train"),
        artefact_code=[artefact_fingerprint(name) for name in ARTEFACTS],
        blocks=lambda wildcards: training_params("student", ARTEFACTS, wildcards.rep),
        checkpoint=f"{OUT}/checkpoints/student-rep-{{rep}}.pt",
    message:
        "Training the student of {ARTEFACTS}."


use rule train_student as train_variant with:
    input:
        manifest=f"{OUT}/cohort/manifest.tsv",
        task=f"{OUT}/models/task/rep-{{rep}}",
        teachers=variant_teachers,
    output:
        directory(f"{OUT}/models/{{variant}}/rep-{{rep}}"),
    log:
        f"{OUT}/logs/models/{{variant}}/rep-{{rep}}.log",
    benchmark:
        f"{OUT}/benchmarks/models/{{variant}}/rep-{{rep}}.tsv"
    params:
        code=fingerprint("train"),
        artefact_code=[artefact_fingerprint(name) for name in ARTEFACTS],
        blocks=variant_params,
        checkpoint=f"{OUT}/checkpoints/{{variant}}-rep-{{rep}}.pt",
    message:
        "Training the variant {wildcards.variant} of the student."


rule figure_training:
    input:
        model=f"{OUT}/models/{{model}}/rep-{{rep}}",
    output:
        **training_figure_files(),
    log:
        f"{OUT}/logs/figures/training/{{model}}-rep-{{rep}}.log",
    benchmark:
        f"{OUT}/benchmarks/figures/training/{{model}}-rep-{{rep}}.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("figure_training"),
        artefacts=ARTEFACTS,
    message:
        "Drawing how the training of {wildcards.model} went."
    script:
        "../scripts/figure_training.py"
