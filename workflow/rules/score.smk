"""From maps to one tidy table, which is all that the statistics read."""

SCORING = config["scoring"]
MEASURES_TABLE = SCORING["measures"]["table"]
if MEASURES_TABLE and FETCH and Path(MEASURES_TABLE).is_relative_to(SCANS_PATH):
    MEASURES_TABLE = f"{OUT}/cohort/fetched.tsv"  # it is fetched with the scans
elif MEASURES_TABLE and not Path(MEASURES_TABLE).is_file():
    raise WorkflowError(f"{MEASURES_TABLE} does not exist: correct config key scoring.measures.table.")


rule score:
    input:
        condition=f"{OUT}/conditions/{{condition}}",
        predictions=f"{OUT}/predictions/{{model}}/rep-{{rep}}/{{condition}}",
        ratings=lambda wildcards: ratings_of(wildcards.condition),
        measures=lambda wildcards: MEASURES_TABLE if MEASURES_TABLE and wildcards.condition == "real" else [],
    output:
        f"{OUT}/scores/{{model}}/rep-{{rep}}/{{condition}}.csv",
    log:
        f"{OUT}/logs/scores/{{model}}/rep-{{rep}}/{{condition}}.log",
    benchmark:
        f"{OUT}/benchmarks/scores/{{model}}/rep-{{rep}}/{{condition}}.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("score"),
        measure_code=of_scans,
        scoring={key: SCORING[key] for key in ("dilation_voxels", "stand_in_rating_cuts")},
        measures=lambda wildcards: SCORING["measures"] if wildcards.condition == "real" else None,
    message:
        "Scoring condition {wildcards.condition}."
    script:
        "../scripts/score.py"


rule regress_dice:
    input:
        # A further training's is asked for to see how rho spreads: without its sweeps and mixtures, which take longest.
        lambda wildcards: expand(
            f"{OUT}/scores/{{model}}/rep-{{rep}}/{{condition}}.csv",
            condition=CONDITIONS if wildcards.rep == "0" else [*SIMULATED, "real", "validation"],
            **wildcards,
        ),
    output:
        f"{OUT}/scores/{{model}}/rep-{{rep}}/ridge.csv",
    log:
        f"{OUT}/logs/scores/{{model}}/rep-{{rep}}/ridge.log",
    benchmark:
        f"{OUT}/benchmarks/scores/{{model}}/rep-{{rep}}/ridge.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("regress_dice"),
    message:
        "Predicting Dice from all measures by ridge regression, and from all variances."
    script:
        "../scripts/regress_dice.py"


rule score_baseline:
    input:
        condition=f"{OUT}/conditions/{{condition}}",
        models=lambda wildcards: baseline_models(wildcards.baseline),
    output:
        f"{OUT}/baselines/{{baseline}}/{{condition}}.csv",
    log:
        f"{OUT}/logs/baselines/{{baseline}}/{{condition}}.log",
    benchmark:
        f"{OUT}/benchmarks/baselines/{{baseline}}/{{condition}}.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        gpu=ON_GPU,
        gpu_turn=ON_GPU,
    params:
        code=fingerprint("score_baseline"),
        measure_code=of_looks,
        blocks=baseline_params,
    message:
        "Scoring condition {wildcards.condition} with the baseline {wildcards.baseline}."
    script:
        "../scripts/score_baseline.py"


rule gather_scores:
    input:
        expand(f"{OUT}/scores/student/rep-0/{{condition}}.csv", condition=[*CONDITIONS, "ridge"]),
        expand(
            f"{OUT}/baselines/{{baseline}}/{{condition}}.csv",
            baseline=config["use_baselines"],
            condition=[*SIMULATED, "real", "validation"],
        ),
    output:
        f"{OUT}/scores.csv",
    log:
        f"{OUT}/logs/scores.log",
    benchmark:
        f"{OUT}/benchmarks/scores.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("gather_scores"),
    message:
        "Gathering all scores into one table."
    script:
        "../scripts/gather_scores.py"
