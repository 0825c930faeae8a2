"""The command ``decoupled-qc``: what can be done without the benchmark around it, and how far a run of it is."""

import argparse
import logging
import sys
from collections.abc import Sequence

from decoupled_qc import agreement, audit, correlate, rate, simulate, status
from decoupled_qc.apply import export_onnx, predict, self_test
from decoupled_qc.errors import exit_code, sentence
from decoupled_qc.memory import lacks_memory

COMMANDS = (predict, self_test, simulate, audit, correlate, rate, agreement, status, export_onnx)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code or 0, 2 after one sentence on what cannot be used, 3 on what the machine lacks.

    Anything else that goes wrong is 1, after one sentence too; with ``--debug`` an error keeps its traceback.

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
        told = MemoryError() if lacks_memory(error) else error
        print(f"decoupled-qc: {sentence(told)}", file=sys.stderr)
        return exit_code(told)
    except KeyboardInterrupt:
        print("decoupled-qc: stopped; what was not finished is not there.", file=sys.stderr)
        return 130
