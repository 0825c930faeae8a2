"""Scores of a scan: one module for each, found by its file name, which is the score's.

A module holds

- ``TITLE``: its name in tables and figures;
- ``HIGHER_IS_BETTER``: whether more of it means a better scan, by what it is and never by data;
- ``OF_IMAGE = True`` where it is an image quality measure, which needs no network but for the mask of some;
- ``NEEDS_REFERENCE = True`` where all of it rests on the reference, which a new scan does not have;
- ``MISSING``: what a scan lacks that has no value (NaN), where there may be such;

and one of

- ``measure(evidence) -> dict``: aggregation -> value, of one scan and its maps; what rests on the reference's labels has the
  aggregation ``reference``;
- ``look(looks) -> float``: of one segmentation of a scan by a baseline;
- ``compare(looks) -> float``: of several segmentations of a scan (all three: :mod:`decoupled_qc.evaluation.evidence`);

or none of them, where the value comes from elsewhere. Modules are loaded by name, so that an edit of one changes the fingerprint
of the rule that takes its values and of no training.
"""

import importlib
import pkgutil
from functools import cache
from types import ModuleType

from decoupled_qc.errors import InputError

SAID = ("TITLE", "HIGHER_IS_BETTER", "OF_IMAGE", "NEEDS_REFERENCE", "MISSING")
CONSTANTS = {"TITLE": str, "HIGHER_IS_BETTER": bool}


@cache
def available() -> list[str]:
    """Return the names of all scores that have a module, sorted."""
    return sorted(name for _, name, _ in pkgutil.iter_modules(__path__) if not name.startswith("_"))


def load(name: str) -> ModuleType:
    """Return the module of a score of :func:`available`.

    Raises:
        InputError: It lacks a constant that each must have.
    """
    module = importlib.import_module(f"{__name__}.{name}")
    for constant, kind in CONSTANTS.items():
        if not isinstance(getattr(module, constant, None), kind):
            raise InputError(f"src/decoupled_qc/measures/{name}.py has no {constant}: give a {kind.__name__}.")
    return module


def with_function(function: str) -> list[str]:
    """Return the names of all scores whose module has a function: ``measure``, ``look`` or ``compare``."""
    return [name for name in available() if hasattr(load(name), function)]


def entry(name: str, key: str, otherwise: object) -> object:
    """Return what the module of a score says under a name such as ``TITLE``, else something else, as without a module."""
    return getattr(load(name), key, otherwise) if name in available() else otherwise
