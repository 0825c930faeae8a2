"""Which networks take part in a baseline, and what it does with them."""


def baseline_models(name):
    """Return the folders of the networks that take part in a baseline."""
    baseline = config["baselines"][name]
    return [f"{OUT}/models/{baseline['model']}/rep-{number}" for number in baseline["replicates"]]


def baseline_params(wildcards):
    """Return the config blocks that a baseline uses."""
    baseline = config["baselines"][wildcards.baseline]
    common = {key: config[key] for key in ("augmentation", "inference", "seed")}
    return {**common, "vary": baseline["vary"], "draws": baseline["draws"]}
