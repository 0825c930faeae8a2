"""Scores of a scan: one module for each, found by its file name, which is the score's.

A module holds

- ``TITLE``: its name in tables and figures;
- ``HIGHER_IS_BETTER``: whether more of it means a better scan, by what it is and never by data;
- ``OF_IMAGE = True`` where it is an image quality measure, which needs no network but for the mask of some;

and one of

- ``measure(evidence) -> dict``: aggregation -> value, of one scan and its maps;
- ``compare(looks) -> float``: of several segmentations of one scan (both: :mod:`decoupled_qc.evaluation.evidence`);

with ``MISSING``, what a scan lacks that has no value (NaN); or neither, where the value comes from elsewhere.

Modules are loaded by name, so that an edit of one changes the fingerprint of those rules alone that take its values.
"""

import importlib
import pkgutil
from functools import cache
from types import ModuleType


@cache
def available() -> list[str]:
    """Return the names of all scores that have a module, sorted."""
    return sorted(name for _, name, _ in pkgutil.iter_modules(__path__) if not name.startswith("_"))


def load(name: str) -> ModuleType:
    """Return the module of a score of :func:`available`."""
    return importlib.import_module(f"{__name__}.{name}")


def with_function(function: str) -> list[str]:
    """Return the names of all scores whose module has a function, ``measure`` or ``compare``."""
    return [name for name in available() if hasattr(load(name), function)]


def entry(name: str, key: str, otherwise: object) -> object:
    """Return what the module of a score says under a name such as ``TITLE``, else something else, as without a module."""
    return getattr(load(name), key, otherwise) if name in available() else otherwise
