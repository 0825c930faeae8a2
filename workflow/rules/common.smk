"""Names used by all stages: where results go, what the run holds, and the fingerprint of a rule's code."""

import os
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from snakemake.utils import min_version

from decoupled_qc import measures, provenance
from decoupled_qc.cohort import sources
from decoupled_qc.configuration import check_config, check_together
from decoupled_qc.errors import InputError
from decoupled_qc.seeds import seed_for
from decoupled_qc.training.recipe import WATCHING

min_version("9.27")


@contextmanager
def one_sentence():
    """Say what is wrong with the input without showing where in the code that was found."""
    try:
        yield
    except InputError as error:
        raise WorkflowError(str(error)) from None


with one_sentence():
    check_config(config, workflow.configfiles, Path(workflow.basedir, "workflow/schemas/config.schema.yaml"))
    check_together(config)

OUT = f"results/{config['run']}"
ARTEFACTS = config["use_artefacts"]
SIMULATED = ["clean", *(f"sim-{name}" for name in ARTEFACTS)]
SWEEPS = [f"sweep-{name}" for name in config["test"]["sweeps"] if name in ARTEFACTS]
MIXTURES = [names for names in config["test"]["mixtures"] if set(names) <= set(ARTEFACTS)]
CONDITIONS = [*SIMULATED, *SWEEPS, *(["mix"] if MIXTURES else []), "real", "validation"]
STAGES = config["training"]["stages"]
VARIANTS = config["variants"]
ON_GPU = min(1, config["gpus_per_job"])  # 0 where there is none
SCRIPTS = Path(workflow.basedir, "workflow", "scripts")
MEASURE_MODULES = Path(measures.__file__).parent
ASK_SCORES = ("analysis/meaning.py", "paper/typeset.py")  # for directions and titles, by name

# Jobs on a cluster neither try again what the submitting process tried nor wait until torch is loaded.
if workflow.is_main_process:
    from decoupled_qc import artefacts
    from decoupled_qc.settings import try_settings

    for name in ARTEFACTS:  # an artefact without a module or with a wrong setting stops here, before any job
        with one_sentence():
            artefacts.load(name)
            if name not in config["artefacts"]:
                raise InputError(
                    f"use_artefacts names '{name}', but there is no config key artefacts.{name}: add its settings."
                )
            try_settings(name, config["artefacts"][name])


wildcard_constraints:
    anatomy=r"[a-z0-9]+",
    batch=r"\d+",
    artefact="|".join(ARTEFACTS),
    baseline="|".join(config["baselines"]),
    condition="|".join([*CONDITIONS, "outside"]),
    model="|".join(["task", "student", "teacher-[a-z0-9]+", *VARIANTS]),
    rep=r"\d+",
    variant="|".join(VARIANTS),


@cache
def code_of(script):
    """Return the fingerprint of a script and of all package code it imports, and what scores say of themselves if it asks."""
    source = SCRIPTS / f"{script}.py"
    asks = any(provenance.reaches(source, provenance.PACKAGE_ROOT / module) for module in ASK_SCORES)
    return [provenance.fingerprint(source), said_by_scores()] if asks else provenance.fingerprint(source)


@cache
def said_by_scores():
    """Return what the modules of scores say of titles and directions, which statistics load by name."""
    return {path.stem: provenance.constants(path, measures.SAID) for path in sorted(MEASURE_MODULES.glob("[a-z]*.py"))}


def fingerprint(script):
    """Return the params function for the fingerprint of a rule's script: only jobs that are planned need it."""
    return lambda wildcards: code_of(script)


def artefact_fingerprint(name):
    """Return the fingerprint of an artefact's module, which is loaded by name and so not seen among the imports."""
    return provenance.fingerprint(provenance.PACKAGE_ROOT / "artefacts" / f"{name}.py")


def measure_fingerprints(names):
    """Return the fingerprints of the modules of scores, which are loaded by name and so not seen among the imports."""
    return {name: provenance.fingerprint(MEASURE_MODULES / f"{name}.py") for name in names}


def of_looks(wildcards):
    """Return the fingerprints of the scores of baselines' looks at a scan."""
    with one_sentence():
        return measure_fingerprints(sorted({*measures.with_function("look"), *measures.with_function("compare")}))


def of_scans(wildcards):
    """Return the fingerprints of all scores but those of baselines' looks alone."""
    with one_sentence():
        only_looks = set(of_looks(wildcards)) - set(measures.with_function("measure"))
        return measure_fingerprints([name for name in measures.available() if name not in only_looks])


def source_fingerprint(kind):
    """Return the fingerprint of a source of scans, which is loaded by name and so not seen among the imports."""
    return provenance.fingerprint(Path(sources.__file__).parent / f"{kind}.py") if kind != "heads" else None


def packaged(pattern):
    """Return files of the package that are no code, relative to the working folder, so that a project can be moved."""
    return sorted(os.path.relpath(path) for path in Path(workflow.basedir, "src/decoupled_qc").glob(pattern))


@cache
def state_of_scans(kind, path, patterns, limit):
    """Return a hash of the scans that a source lists, for scans that are no files of a rule."""
    try:
        return sources.state_of(sources.find_scans(kind, path, patterns, limit))
    except InputError as error:
        return str(error)  # the audit says so


def ratings_of(condition):
    """Return raters' table for a condition, if it is the real one and there is one."""
    return [config["scoring"]["ratings"]] if condition == "real" and config["scoring"]["ratings"] else []


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


def baseline_models(name):
    """Return the folders of the networks that take part in a baseline."""
    baseline = config["baselines"][name]
    return [f"{OUT}/models/{baseline['model']}/rep-{number}" for number in baseline["replicates"]]


def baseline_params(wildcards):
    """Return the config blocks that a baseline uses."""
    baseline = config["baselines"][wildcards.baseline]
    common = {key: config[key] for key in ("augmentation", "inference", "seed")}
    return {**common, "vary": baseline["vary"], "draws": baseline["draws"]}
