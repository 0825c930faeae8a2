"""The command ``decoupled-qc``: what can be done without the benchmark around it, and how far a run of it is."""

import argparse
import sys
from collections.abc import Sequence

from decoupled_qc import agreement, audit, correlate, rate, simulate, status
from decoupled_qc.apply import export_onnx, predict, self_test
from decoupled_qc.errors import InputError, ResourceError

COMMANDS = (predict, self_test, simulate, audit, correlate, rate, agreement, status, export_onnx)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code or 0, 2 after one sentence on what cannot be used, 3 on what the machine lacks.

    Args:
        arguments: Of the command line; those of the process if None.
    """
    parser = argparse.ArgumentParser(prog="decoupled-qc", description="How far an MRI scan can be trusted for a task.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        name = command.__name__.rpartition(".")[2].replace("_", "-")
        text = command.__doc__.splitlines()[0]
        own = commands.add_parser(name, help=text, description=text)
        command.add_arguments(own)
        own.set_defaults(run=command.run)
    chosen = parser.parse_args(arguments)
    try:
        return chosen.run(chosen) or 0
    except (InputError, ResourceError) as error:
        print(f"decoupled-qc: {error}", file=sys.stderr)
        return 3 if isinstance(error, ResourceError) else 2
