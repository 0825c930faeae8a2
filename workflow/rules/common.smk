"""Names that every rule uses: where results go, what the run holds, and the fingerprint of a rule's code."""

from pathlib import Path

from snakemake.utils import min_version, validate

from decoupled_qc import artefacts, provenance

min_version("9.27")
validate(config, "../schemas/config.schema.yaml")

OUT = f"results/{config['run']}"
ARTEFACTS = config["use_artefacts"]
SIMULATED = ["clean", *(f"sim-{name}" for name in ARTEFACTS)]
SWEEPS = [f"sweep-{name}" for name in config["test"]["sweeps"] if name in ARTEFACTS]
CONDITIONS = [*SIMULATED, *SWEEPS, "real"]
SCRIPTS = Path(workflow.basedir, "workflow", "scripts")

for name in {*ARTEFACTS, *config["test"]["sweeps"]}:
    artefacts.load(name)  # an artefact without a module stops here, before any job
    if name not in config["artefacts"]:
        raise WorkflowError(f"use_artefacts names '{name}', but config key artefacts.{name} is missing: add its settings.")


wildcard_constraints:
    anatomy=r"[a-z0-9]+",
    artefact="|".join(ARTEFACTS),
    condition="|".join(CONDITIONS),
    model=r"task|student|teacher-[a-z0-9]+",
    rep=r"\d+",


def fingerprint(script):
    """Return the fingerprint of a rule's script and of all package code it imports."""
    return provenance.fingerprint(SCRIPTS / f"{script}.py")


def artefact_fingerprint(name):
    """Return the fingerprint of an artefact's module, which is loaded by name and so not seen among the imports."""
    return provenance.fingerprint(artefacts.module_path(name))


def in_use(block):
    """Return the entries of the artefacts in use from a mapping by artefact name."""
    return {name: block[name] for name in ARTEFACTS}
