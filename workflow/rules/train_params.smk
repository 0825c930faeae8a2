"""What decides a network's weights, and the files of the figure of its training."""

from decoupled_qc.seeds import seed_for
from decoupled_qc.training.recipe import WATCHING


def others_of(stage, names):
    """Return the artefacts that a teacher sees besides its own."""
    seen = stage == "teacher" and config["corruption"]["other_probability"] > 0
    return [name for name in ARTEFACTS if name not in names] if seen else []


def training_params(stage, names, rep, changes=None, network=None, coupled=False):
    """Return the config blocks that decide a network's weights; replicates differ in the seed, variants in some keys."""
    common = {key: value for key, value in config["training"].items() if key not in ("stages", *WATCHING)}
    return {
        "seed": config["seed"] if rep == "0" else seed_for(config["seed"], "rep", rep),
        "spacing_mm": config["cohort"]["spacing_mm"],
        "network": {**config["network"], **(network or {})},
        "augmentation": config["augmentation"],
        "corruption": config["corruption"],
        "training": {**common, **STAGES[stage], **(changes or {})},
        "artefacts": {name: config["artefacts"][name] for name in names},
        "others": {name: config["artefacts"][name] for name in others_of(stage, names)},
        "coupled": coupled,
    }


def variant_params(wildcards):
    """Return the config blocks of a variant: the student's with its changes."""
    variant = VARIANTS[wildcards.variant]
    changes = {key: variant[key] for key in ("network", "coupled")}
    return training_params("student", ARTEFACTS, wildcards.rep, variant["training"], **changes)


def variant_teachers(wildcards):
    """Return the teachers' folders for a variant that learns from them."""
    names = ARTEFACTS if VARIANTS[wildcards.variant]["teachers"] else []
    return [f"{OUT}/models/teacher-{name}/rep-{wildcards.rep}" for name in names]


def training_figure_files():
    """Return the files of the figure of a training."""
    base = f"{OUT}/figures/training/{{model}}-rep-{{rep}}"
    labels = {"figure": "training of {model}"}
    png = report(f"{base}.png", category="Trainings", caption="../report/figure_training.rst", labels=labels)
    return {"pdf": f"{base}.pdf", "png": png, "csv": f"{base}.csv", "caption": f"{base}.txt"}
