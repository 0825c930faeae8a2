"""One page with everything a reader asks for."""

NETWORKS = ["task", *(f"teacher-{name}" for name in ARTEFACTS), "student"]


rule report:
    input:
        table_1=f"{OUT}/tables/table_1.csv",
        table_2=f"{OUT}/tables/table_2.csv",
        correlation=f"{OUT}/analysis/correlation.csv",
        difference=f"{OUT}/analysis/difference.csv",
        segmentation=f"{OUT}/analysis/segmentation.csv",
        real_artefacts=f"{OUT}/analysis/real_artefacts.csv" if "real_artefacts" in ANALYSES else [],
        ratings=ratings_of("real"),
        scores=f"{OUT}/scores.csv",
        manifest=f"{OUT}/cohort/manifest.tsv",
        figures=expand(f"{OUT}/figures/figure_{{name}}.png", name=FIGURES),
        captions=expand(f"{OUT}/figures/figure_{{name}}.txt", name=FIGURES),
        trainings=expand(f"{OUT}/figures/training/{{network}}-rep-0.png", network=NETWORKS),
        training_captions=expand(f"{OUT}/figures/training/{{network}}-rep-0.txt", network=NETWORKS),
        networks=expand(f"{OUT}/models/{{network}}/rep-0", network=NETWORKS),
        page=packaged("report/report.html") + packaged("report/style.css"),
    output:
        report(f"{OUT}/report.html", category="Report", caption="../report/report.rst"),
    log:
        f"{OUT}/logs/report.log",
    benchmark:
        f"{OUT}/benchmarks/report.tsv"
    localrule: True
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("report"),
        run=config["run"],
        networks=NETWORKS,
        figures=FIGURES,
        artefacts=ARTEFACTS,
        benchmarks=f"{OUT}/benchmarks",
        logs=f"{OUT}/logs",
        gpus_per_job=config["gpus_per_job"],
    message:
        "Writing the report."
    script:
        "../scripts/report.py"
