"""The student's maps of every scan of a condition."""


rule predict:
    input:
        model=f"{OUT}/models/{{model}}/rep-{{rep}}",
        condition=f"{OUT}/conditions/{{condition}}",
    output:
        directory(f"{OUT}/predictions/{{model}}/rep-{{rep}}/{{condition}}"),
    log:
        f"{OUT}/logs/predictions/{{model}}/rep-{{rep}}/{{condition}}.log",
    benchmark:
        f"{OUT}/benchmarks/predictions/{{model}}/rep-{{rep}}/{{condition}}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 1
    resources:
        gpu=ON_GPU,
        gpu_turn=ON_GPU,
    params:
        code=fingerprint("predict"),
        inference=config["inference"],
    message:
        "Predicting condition {wildcards.condition} with {wildcards.model}."
    script:
        "../scripts/predict.py"
