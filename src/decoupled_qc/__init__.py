"""Decoupled uncertainty for MRI segmentation quality: how far can a scan be trusted for a task, and why not."""

import importlib

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Load :func:`decoupled_qc.apply.api.predict` when asked for, so that other uses do not wait for torch."""
    if name == "predict":
        # By name: an import statement here would make every rule's fingerprint depend on it.
        return importlib.import_module("decoupled_qc.apply.api").predict
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
