"""Statistics of scores.csv."""


rule correlate:
    input:
        scores=f"{OUT}/scores.csv",
        manifest=f"{OUT}/cohort/manifest.tsv",
    output:
        correlation=f"{OUT}/analysis/correlation.csv",
        difference=f"{OUT}/analysis/difference.csv",
        ranks=f"{OUT}/analysis/ranks.csv",
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


rule decouple:
    input:
        scores=f"{OUT}/scores.csv",
        manifest=f"{OUT}/cohort/manifest.tsv",
    output:
        f"{OUT}/analysis/decoupling.csv",
    log:
        f"{OUT}/logs/analysis/decoupling.log",
    benchmark:
        f"{OUT}/benchmarks/analysis/decoupling.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("decoupling"),
        error_rate=config["analysis"]["error_rate"],
        n_boot=config["analysis"]["n_boot"],
        seed=config["seed"],
    message:
        "Measuring how far each head answers to its own artefact."
    script:
        "../scripts/decoupling.py"


rule follow_severity:
    input:
        scores=f"{OUT}/scores.csv",
        manifest=f"{OUT}/cohort/manifest.tsv",
    output:
        f"{OUT}/analysis/severity.csv",
    log:
        f"{OUT}/logs/analysis/severity.log",
    benchmark:
        f"{OUT}/benchmarks/analysis/severity.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("severity"),
        n_boot=config["analysis"]["n_boot"],
        seed=config["seed"],
    message:
        "Following every score along rising severity."
    script:
        "../scripts/severity.py"


rule cover_risk:
    input:
        scores=f"{OUT}/scores.csv",
        manifest=f"{OUT}/cohort/manifest.tsv",
    output:
        f"{OUT}/analysis/risk_coverage.csv",
    log:
        f"{OUT}/logs/analysis/risk_coverage.log",
    benchmark:
        f"{OUT}/benchmarks/analysis/risk_coverage.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("risk_coverage"),
        dice_cuts=sorted({*config["analysis"]["dice_cuts"], config["analysis"]["target_dice"]}),
        n_boot=config["analysis"]["n_boot"],
        seed=config["seed"],
    message:
        "Measuring what trusting each score is worth."
    script:
        "../scripts/risk_coverage.py"


rule judge_segmentation:
    input:
        scores=f"{OUT}/scores.csv",
        manifest=f"{OUT}/cohort/manifest.tsv",
    output:
        f"{OUT}/analysis/segmentation.csv",
    log:
        f"{OUT}/logs/analysis/segmentation.log",
    benchmark:
        f"{OUT}/benchmarks/analysis/segmentation.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("segmentation"),
        n_boot=config["analysis"]["n_boot"],
        seed=config["seed"],
    message:
        "Judging the segmentation and its probabilities."
    script:
        "../scripts/segmentation.py"


rule check_volumes:
    input:
        scores=f"{OUT}/scores.csv",
        manifest=f"{OUT}/cohort/manifest.tsv",
    output:
        f"{OUT}/analysis/volumes.csv",
    log:
        f"{OUT}/logs/analysis/volumes.log",
    benchmark:
        f"{OUT}/benchmarks/analysis/volumes.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("volumes"),
        spacing_mm=config["cohort"]["spacing_mm"],
        n_boot=config["analysis"]["n_boot"],
        seed=config["seed"],
    message:
        "Checking the error bars of volumes."
    script:
        "../scripts/volumes.py"


rule decide:
    input:
        scores=f"{OUT}/scores.csv",
        manifest=f"{OUT}/cohort/manifest.tsv",
    output:
        decisions=f"{OUT}/analysis/decisions.csv",
        coverage=f"{OUT}/analysis/decision_coverage.csv",
    log:
        f"{OUT}/logs/analysis/decisions.log",
    benchmark:
        f"{OUT}/benchmarks/analysis/decisions.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("decisions"),
        target_dice=config["analysis"]["target_dice"],
        error_rate=config["analysis"]["error_rate"],
        n_boot=config["analysis"]["n_boot"],
        seed=config["seed"],
    message:
        "Predicting Dice and deciding: pass, review or fail."
    script:
        "../scripts/decisions.py"


rule compare_replicates:
    input:
        scores=expand(
            f"{OUT}/scores/student/rep-{{rep}}/{{condition}}.csv",
            rep=range(config["replicates"]),
            condition=[*SIMULATED, "real", "ridge"],
        ),
        manifest=f"{OUT}/cohort/manifest.tsv",
    output:
        f"{OUT}/analysis/replicates.csv",
    log:
        f"{OUT}/logs/analysis/replicates.log",
    benchmark:
        f"{OUT}/benchmarks/analysis/replicates.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("replicates"),
    message:
        "Comparing trainings that differ in their seed alone."
    script:
        "../scripts/replicates.py"


rule find_real_artefacts:
    input:
        scores=f"{OUT}/scores.csv",
        manifest=f"{OUT}/cohort/manifest.tsv",
    output:
        f"{OUT}/analysis/real_artefacts.csv",
    log:
        f"{OUT}/logs/analysis/real_artefacts.log",
    benchmark:
        f"{OUT}/benchmarks/analysis/real_artefacts.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("real_artefacts"),
        n_boot=config["analysis"]["n_boot"],
        seed=config["seed"],
    message:
        "Measuring how well every score finds real artefacts."
    script:
        "../scripts/real_artefacts.py"


rule rank_scores:
    input:
        correlation=f"{OUT}/analysis/correlation.csv",
        risk=f"{OUT}/analysis/risk_coverage.csv",
        replicates=f"{OUT}/analysis/replicates.csv",
        ranks=f"{OUT}/analysis/ranks.csv",
    output:
        f"{OUT}/analysis/leaderboard.csv",
    log:
        f"{OUT}/logs/analysis/leaderboard.log",
    benchmark:
        f"{OUT}/benchmarks/analysis/leaderboard.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("leaderboard"),
        dice_cut=config["analysis"]["target_dice"],
    message:
        "Ranking all scores."
    script:
        "../scripts/leaderboard.py"
