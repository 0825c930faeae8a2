"""Figures beyond the paper's: one rule each, as for the paper's own."""


rule figure_leakage:
    input:
        decoupling=f"{OUT}/analysis/decoupling.csv",
    output:
        **figure_files("leakage"),
    log:
        f"{OUT}/logs/figures/figure_leakage.log",
    benchmark:
        f"{OUT}/benchmarks/figures/figure_leakage.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("figure_leakage"),
        artefacts=ARTEFACTS,
    message:
        "Drawing which head rises on which artefact."
    script:
        "../scripts/figure_leakage.py"


rule figure_risk:
    input:
        scores=f"{OUT}/scores.csv",
        manifest=f"{OUT}/cohort/manifest.tsv",
        risk=f"{OUT}/analysis/risk_coverage.csv",
    output:
        **figure_files("risk"),
    log:
        f"{OUT}/logs/figures/figure_risk.log",
    benchmark:
        f"{OUT}/benchmarks/figures/figure_risk.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("figure_risk"),
    message:
        "Drawing risk-coverage curves."
    script:
        "../scripts/figure_risk.py"


rule figure_severity:
    input:
        scores=f"{OUT}/scores.csv",
        manifest=f"{OUT}/cohort/manifest.tsv",
        trend=f"{OUT}/analysis/severity.csv",
    output:
        **figure_files("severity"),
    log:
        f"{OUT}/logs/figures/figure_severity.log",
    benchmark:
        f"{OUT}/benchmarks/figures/figure_severity.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("figure_severity"),
        artefacts=ARTEFACTS,
    message:
        "Drawing Dice and uncertainty along severity."
    script:
        "../scripts/figure_severity.py"


rule figure_calibration:
    input:
        volumes=f"{OUT}/analysis/volumes.csv",
        decisions=f"{OUT}/analysis/decisions.csv",
        coverage=f"{OUT}/analysis/decision_coverage.csv",
    output:
        **figure_files("calibration"),
    log:
        f"{OUT}/logs/figures/figure_calibration.log",
    benchmark:
        f"{OUT}/benchmarks/figures/figure_calibration.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("figure_calibration"),
        target_dice=config["analysis"]["target_dice"],
        error_rate=config["analysis"]["error_rate"],
    message:
        "Drawing whether intervals hold what they promise."
    script:
        "../scripts/figure_calibration.py"


rule table_analysis:
    input:
        table=f"{OUT}/analysis/{{analysis}}.csv",
        scores=f"{OUT}/scores.csv",
        manifest=f"{OUT}/cohort/manifest.tsv",
    output:
        csv=f"{OUT}/tables/table_{{analysis}}.csv",
        markdown=f"{OUT}/tables/table_{{analysis}}.md",
        latex=f"{OUT}/tables/table_{{analysis}}.tex",
        text=f"{OUT}/tables/table_{{analysis}}.txt",
    log:
        f"{OUT}/logs/tables/table_{{analysis}}.log",
    benchmark:
        f"{OUT}/benchmarks/tables/table_{{analysis}}.tsv"
    wildcard_constraints:
        analysis="|".join(PRINTED),
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("table_analysis"),
        dice_cut=config["analysis"]["target_dice"],
        artefacts=ARTEFACTS,
    message:
        "Writing {wildcards.analysis} as a paper prints it."
    script:
        "../scripts/table_analysis.py"
