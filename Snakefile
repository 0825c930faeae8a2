# The chain, in the order data flow through it. Results of a configuration: results/<run>/
#   figures/ tables/ report.html scores.csv analysis/     what to look at
#   cohort/ conditions/ models/ predictions/ scores/      what they were made from
#   model/ apply/                                         when asked for: the student to give away, and its verdicts on scans
#   conditions/outside/ analysis/outside.csv              when asked for: artefacts outside the brain alone
#   logs/ benchmarks/                                     what happened, and what it cost
# A job runs in the environment that Snakemake itself does, as after `make setup`. Every rule names envs/environment.yaml all the same,
# since `snakemake --lint` asks for it; `--software-deployment-method conda` does not do with that file, which says why.


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/fingerprints.smk"
include: "workflow/rules/cohort.smk"
include: "workflow/rules/scans.smk"
include: "workflow/rules/artefacts.smk"
include: "workflow/rules/train_params.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/predict.smk"
include: "workflow/rules/baseline_params.smk"
include: "workflow/rules/score.smk"
include: "workflow/rules/analyse.smk"
include: "workflow/rules/outside.smk"
include: "workflow/rules/paper_files.smk"
include: "workflow/rules/paper.smk"
include: "workflow/rules/beyond.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/apply.smk"


RESULTS = [
    f"{OUT}/models/student/rep-0",
    f"{OUT}/scores.csv",
    f"{OUT}/tables/table_1.csv",
    f"{OUT}/tables/table_2.csv",
    f"{OUT}/tables/table_paper.csv",
    *expand(f"{OUT}/tables/table_{{name}}.csv", name=PRINTED),
    f"{OUT}/report.html",
    *expand(f"{OUT}/analysis/{{name}}.csv", name=ANALYSES),
    *expand(f"{OUT}/figures/figure_{{name}}.png", name=FIGURES),
]


rule all:
    default_target: True
    input:
        RESULTS if config["product"] == "results" else f"{OUT}/model",


onerror:
    if workflow.is_main_process:
        print(
            "What is finished is kept: mend what the logs above say, then give the same command again.", flush=True
        )
