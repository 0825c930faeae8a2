"""The command ``decoupled-qc``: what can be done without the benchmark around it, and how far a run of it is."""

import argparse
import ast
import importlib
import logging
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from decoupled_qc.errors import INTERRUPTED, exit_code, sentence

# Each has ``add_arguments`` and ``run``, and a docstring whose first line is its help.
COMMANDS = {
    "predict": "decoupled_qc.apply.predict",
    "self-test": "decoupled_qc.apply.self_test",
    "simulate": "decoupled_qc.simulation.simulate",
    "audit": "decoupled_qc.cohort.audit",
    "correlate": "decoupled_qc.analysis.correlate",
    "rate": "decoupled_qc.rating.rate",
    "agreement": "decoupled_qc.rating.agreement",
    "status": "decoupled_qc.training.status",
    "export-onnx": "decoupled_qc.apply.export_onnx",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code or 0, 2 after one sentence on what cannot be used, 3 on what the machine lacks.

    Anything else that goes wrong is 1, after one sentence too; with ``--debug`` an error keeps its traceback.

    Args:
        arguments: Of the command line; those of the process if None.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="decoupled-qc", description="How far an MRI scan can be trusted for a task.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        text = _first_line(module)
        own = commands.add_parser(name, help=text, description=text)
        if name in arguments:  # one command alone is imported: all of them take seconds
            command = importlib.import_module(module)
            command.add_arguments(own)
            own.add_argument("--debug", action="store_true", help="show where in the code an error comes from")
            own.set_defaults(run=command.run)
    chosen = parser.parse_args(arguments)
    if chosen.debug:
        logging.basicConfig()
        logging.getLogger("decoupled_qc").setLevel(logging.DEBUG)
    try:
        return chosen.run(chosen) or 0
    except Exception as error:
        if chosen.debug:
            raise
        print(f"decoupled-qc: {sentence(error)}", file=sys.stderr)
        return exit_code(error)
    except KeyboardInterrupt:
        print("decoupled-qc: stopped; what was not finished is not there.", file=sys.stderr)
        return INTERRUPTED


def _first_line(module: str) -> str:
    """Return the first line of a module's docstring, without importing the module."""
    source = Path(find_spec(module).origin).read_text(encoding="utf-8")
    return ast.get_docstring(ast.parse(source)).splitlines()[0]
