"""Names used by all stages: where results go and what the run holds."""

from contextlib import contextmanager
from pathlib import Path

from snakemake.utils import min_version

from decoupled_qc.configuration import check_config, check_together
from decoupled_qc.errors import InputError

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


def ratings_of(condition):
    """Return raters' table for a condition, if it is the real one and there is one."""
    return [config["scoring"]["ratings"]] if condition == "real" and config["scoring"]["ratings"] else []
