"""Test conditions: the test subjects clean, with each artefact, at rising severity; and scans with real artefacts."""

MIXED = [name for name in ARTEFACTS if any(name in names for names in MIXTURES)]


rule keep_clean:
    input:
        manifest=f"{OUT}/cohort/manifest.tsv",
    output:
        directory(f"{OUT}/conditions/clean"),
    log:
        f"{OUT}/logs/conditions/clean.log",
    benchmark:
        f"{OUT}/benchmarks/conditions/clean.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("keep_clean"),
    message:
        "Taking the test scans as they are."
    script:
        "../scripts/keep_clean.py"


rule simulate:
    input:
        manifest=f"{OUT}/cohort/manifest.tsv",
    output:
        directory(f"{OUT}/conditions/sim-{{artefact}}"),
    log:
        f"{OUT}/logs/conditions/sim-{{artefact}}.log",
    benchmark:
        f"{OUT}/benchmarks/conditions/sim-{{artefact}}.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("simulate"),
        artefact_code=lambda wildcards: artefact_fingerprint(wildcards.artefact),
        settings=lambda wildcards: config["artefacts"][wildcards.artefact],
        local_probability=config["corruption"]["local_probability"],
        spacing_mm=config["cohort"]["spacing_mm"],
        seed=config["seed"],
    message:
        "Simulating {wildcards.artefact} at random severity."
    script:
        "../scripts/simulate.py"


rule sweep:
    input:
        manifest=f"{OUT}/cohort/manifest.tsv",
    output:
        directory(f"{OUT}/conditions/sweep-{{artefact}}"),
    log:
        f"{OUT}/logs/conditions/sweep-{{artefact}}.log",
    benchmark:
        f"{OUT}/benchmarks/conditions/sweep-{{artefact}}.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("sweep"),
        artefact_code=lambda wildcards: artefact_fingerprint(wildcards.artefact),
        settings=lambda wildcards: config["artefacts"][wildcards.artefact],
        sweep=lambda wildcards: config["test"]["sweeps"][wildcards.artefact],
        spacing_mm=config["cohort"]["spacing_mm"],
        seed=config["seed"],
    message:
        "Simulating {wildcards.artefact} at rising severity."
    script:
        "../scripts/sweep.py"


rule mix:
    input:
        manifest=f"{OUT}/cohort/manifest.tsv",
    output:
        directory(f"{OUT}/conditions/mix"),
    log:
        f"{OUT}/logs/conditions/mix.log",
    benchmark:
        f"{OUT}/benchmarks/conditions/mix.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("mix"),
        artefact_code=[artefact_fingerprint(name) for name in MIXED],
        mixtures=MIXTURES,
        settings={name: config["artefacts"][name] for name in MIXED},
        local_probability=config["corruption"]["local_probability"],
        spacing_mm=config["cohort"]["spacing_mm"],
        seed=config["seed"],
    message:
        "Simulating mixtures of artefacts."
    script:
        "../scripts/mix.py"


rule validation:
    input:
        manifest=f"{OUT}/cohort/manifest.tsv",
    output:
        directory(f"{OUT}/conditions/validation"),
    log:
        f"{OUT}/logs/conditions/validation.log",
    benchmark:
        f"{OUT}/benchmarks/conditions/validation.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("validation"),
        artefact_code=[artefact_fingerprint(name) for name in ARTEFACTS],
        settings={name: config["artefacts"][name] for name in ARTEFACTS},
        local_probability=config["corruption"]["local_probability"],
        spacing_mm=config["cohort"]["spacing_mm"],
        seed=config["seed"],
    message:
        "Making the validation scans that intervals and thresholds are fitted on."
    script:
        "../scripts/validation.py"


rule take_real:
    input:
        manifest=f"{OUT}/cohort/manifest.tsv",
    output:
        directory(f"{OUT}/conditions/real"),
    log:
        f"{OUT}/logs/conditions/real.log",
    benchmark:
        f"{OUT}/benchmarks/conditions/real.tsv"
    conda:
        "../../envs/environment.yaml"
    params:
        code=fingerprint("real"),
        rating=config["cohort"]["scans"]["rating"],
        stand_ins=config["test"]["stand_ins"],
        seed=config["seed"],
    message:
        "Taking the rated scans with real artefacts, or making stand-ins for them."
    script:
        "../scripts/real.py"
