"""What a rule's results depend on besides its files: the code that its script imports and the modules that it loads by name."""

import os
from functools import cache

from decoupled_qc import measures, provenance
from decoupled_qc.cohort import sources

SCRIPTS = Path(workflow.basedir, "workflow", "scripts")
MEASURE_MODULES = Path(measures.__file__).parent
ASK_SCORES = ("analysis/meaning.py", "paper/typeset.py")  # for directions and titles, by name


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
