"""The paper's figures and tables from this run: one rule each, so that an edit redraws one.

Local rules, since each takes seconds: not worth a place in a cluster's queue.
"""


rule figure_1:
    input:
        scores=f"{OUT}/scores.csv",
        manifest=f"{OUT}/cohort/manifest.tsv",
        conditions=scans_of(*SIMULATED),
        predictions=maps_of(*SIMULATED),
    output:
        **figure_files("1"),
    log:
        f"{OUT}/logs/figures/figure_1.log",
    benchmark:
        f"{OUT}/benchmarks/figures/figure_1.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("figure_1"),
        artefacts=ARTEFACTS,
    message:
        "Drawing figure 1: the same artefact, in the grey matter or not."
    script:
        "../scripts/figure_1.py"


rule figure_2:
    input:
        manifest=f"{OUT}/cohort/manifest.tsv",  # not read: without any input a clone would keep the committed drawing for ever
    output:
        **figure_files("2"),
    log:
        f"{OUT}/logs/figures/figure_2.log",
    benchmark:
        f"{OUT}/benchmarks/figures/figure_2.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("figure_2"),
        artefacts=ARTEFACTS,
        settings={key: config["training"][key] for key in LOSS} | {"presence": config["network"]["presence"]},
    message:
        "Drawing figure 2: the three stages of training."
    script:
        "../scripts/figure_2.py"


rule figure_3:
    input:
        scores=f"{OUT}/scores.csv",
        manifest=f"{OUT}/cohort/manifest.tsv",
        conditions=scans_of(*SIMULATED, *SWEEPS),
    output:
        **figure_files("3"),
    log:
        f"{OUT}/logs/figures/figure_3.log",
    benchmark:
        f"{OUT}/benchmarks/figures/figure_3.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("figure_3"),
        artefacts=ARTEFACTS,
        example_severity=config["analysis"]["example_severity"],
    message:
        "Drawing figure 3: the simulated artefacts."
    script:
        "../scripts/figure_3.py"


rule figure_4:
    input:
        scores=f"{OUT}/scores.csv",
        manifest=f"{OUT}/cohort/manifest.tsv",
        conditions=scans_of(*SIMULATED),
        predictions=maps_of(*SIMULATED),
    output:
        **figure_files("4"),
    log:
        f"{OUT}/logs/figures/figure_4.log",
    benchmark:
        f"{OUT}/benchmarks/figures/figure_4.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("figure_4"),
        artefacts=ARTEFACTS,
        example_severity=config["analysis"]["example_severity"],
    message:
        "Drawing figure 4: the maps of each simulated artefact."
    script:
        "../scripts/figure_4.py"


rule figure_5:
    input:
        scores=f"{OUT}/scores.csv",
        manifest=f"{OUT}/cohort/manifest.tsv",
        conditions=scans_of("clean", *SWEEPS),
    output:
        **figure_files("5"),
    log:
        f"{OUT}/logs/figures/figure_5.log",
    benchmark:
        f"{OUT}/benchmarks/figures/figure_5.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("figure_5"),
        artefacts=ARTEFACTS,
        bars=config["analysis"]["bars"],
        spacing_mm=config["cohort"]["spacing_mm"],
    message:
        "Drawing figure 5: volume with error bars."
    script:
        "../scripts/figure_5.py"


rule figure_6:
    input:
        scores=f"{OUT}/scores.csv",
        manifest=f"{OUT}/cohort/manifest.tsv",
        conditions=scans_of(*SIMULATED),
        predictions=maps_of(*SIMULATED),
    output:
        **figure_files("6"),
    log:
        f"{OUT}/logs/figures/figure_6.log",
    benchmark:
        f"{OUT}/benchmarks/figures/figure_6.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("figure_6"),
        artefacts=ARTEFACTS,
    message:
        "Drawing figure 6: scans from worst to best Dice."
    script:
        "../scripts/figure_6.py"


rule figure_7:
    input:
        scores=f"{OUT}/scores.csv",
        manifest=f"{OUT}/cohort/manifest.tsv",
        correlation=f"{OUT}/analysis/correlation.csv",
    output:
        **figure_files("7"),
    log:
        f"{OUT}/logs/figures/figure_7.log",
    benchmark:
        f"{OUT}/benchmarks/figures/figure_7.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("figure_7"),
        artefacts=ARTEFACTS,
    message:
        "Drawing figure 7: Dice against each score."
    script:
        "../scripts/figure_7.py"


rule figure_8:
    input:
        scores=f"{OUT}/scores.csv",
        manifest=f"{OUT}/cohort/manifest.tsv",
        conditions=scans_of("clean", "real"),
        predictions=maps_of("clean", "real"),
    output:
        **figure_files("8"),
    log:
        f"{OUT}/logs/figures/figure_8.log",
    benchmark:
        f"{OUT}/benchmarks/figures/figure_8.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("figure_8"),
        artefacts=ARTEFACTS,
    message:
        "Drawing figure 8: artefacts never seen, and box plots."
    script:
        "../scripts/figure_8.py"


rule figure_9:
    input:
        scores=f"{OUT}/scores.csv",
        manifest=f"{OUT}/cohort/manifest.tsv",
        conditions=scans_of("clean", "real"),
        predictions=maps_of("clean", "real"),
    output:
        **figure_files("9"),
    log:
        f"{OUT}/logs/figures/figure_9.log",
    benchmark:
        f"{OUT}/benchmarks/figures/figure_9.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("figure_9"),
        artefacts=ARTEFACTS,
        levels=RATING_LEVELS,
    message:
        "Drawing figure 9: the worst and the best scans of the real set."
    script:
        "../scripts/figure_9.py"


rule figure_10:
    input:
        scores=f"{OUT}/scores.csv",
        manifest=f"{OUT}/cohort/manifest.tsv",
        correlation=f"{OUT}/analysis/correlation.csv",
    output:
        **figure_files("10"),
    log:
        f"{OUT}/logs/figures/figure_10.log",
    benchmark:
        f"{OUT}/benchmarks/figures/figure_10.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("figure_10"),
        artefacts=ARTEFACTS,
        levels=RATING_LEVELS,
    message:
        "Drawing figure 10: rating against each score."
    script:
        "../scripts/figure_10.py"


rule figure_leaderboard:
    input:
        scores=f"{OUT}/scores.csv",
        manifest=f"{OUT}/cohort/manifest.tsv",
        leaderboard=f"{OUT}/analysis/leaderboard.csv",
    output:
        **figure_files("leaderboard"),
    log:
        f"{OUT}/logs/figures/figure_leaderboard.log",
    benchmark:
        f"{OUT}/benchmarks/figures/figure_leaderboard.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("figure_leaderboard"),
    message:
        "Drawing the leaderboard of scores."
    script:
        "../scripts/figure_leaderboard.py"


rule table_1:
    input:
        correlation=f"{OUT}/analysis/correlation.csv",
        replicates=f"{OUT}/analysis/replicates.csv",
        scores=f"{OUT}/scores.csv",
        manifest=f"{OUT}/cohort/manifest.tsv",
    output:
        **table_files(1),
        side_by_side=f"{OUT}/tables/side_by_side.txt",
    log:
        f"{OUT}/logs/tables/table_1.log",
    benchmark:
        f"{OUT}/benchmarks/tables/table_1.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("table_1"),
    message:
        "Writing table 1 beside the paper's."
    script:
        "../scripts/table_1.py"


rule table_2:
    input:
        correlation=f"{OUT}/analysis/correlation.csv",
        replicates=f"{OUT}/analysis/replicates.csv",
        scores=f"{OUT}/scores.csv",
        manifest=f"{OUT}/cohort/manifest.tsv",
        ratings=ratings_of("real"),
    output:
        **table_files(2),
    log:
        f"{OUT}/logs/tables/table_2.log",
    benchmark:
        f"{OUT}/benchmarks/tables/table_2.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("table_2"),
    message:
        "Writing table 2 beside the paper's."
    script:
        "../scripts/table_2.py"


rule table_paper:
    input:
        table_1=f"{OUT}/tables/table_1.csv",
        table_2=f"{OUT}/tables/table_2.csv",
        figure_5=f"{OUT}/figures/figure_5.csv" if 5 in FIGURES else [],
        figure_8=f"{OUT}/figures/figure_8.csv",
        scores=f"{OUT}/scores.csv",
        manifest=f"{OUT}/cohort/manifest.tsv",
    output:
        **table_files("paper"),
    log:
        f"{OUT}/logs/tables/table_paper.log",
    benchmark:
        f"{OUT}/benchmarks/tables/table_paper.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("table_paper"),
        n_boot=config["analysis"]["n_boot"],
        seed=config["seed"],
    message:
        "Writing the paper's numbers beside this run's."
    script:
        "../scripts/table_paper.py"


rule figure_simulator:
    input:
        clean=f"{OUT}/conditions/clean",
    output:
        **figure_files("simulator"),
    log:
        f"{OUT}/logs/figures/figure_simulator.log",
    benchmark:
        f"{OUT}/benchmarks/figures/figure_simulator.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("figure_simulator"),
        artefact_code=[artefact_fingerprint(name) for name in config["artefacts"]],
        settings=config["artefacts"],
        spacing_mm=config["cohort"]["spacing_mm"],
        seed=config["seed"],
    message:
        "Drawing every artefact at rising severity."
    script:
        "../scripts/figure_simulator.py"
