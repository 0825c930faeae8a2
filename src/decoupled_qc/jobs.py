"""The start of every job: threads, determinism, and a log that holds the reason when it fails."""

import logging
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from types import FrameType, TracebackType

from decoupled_qc.errors import InputError, is_of_machine, sentence
from decoupled_qc.files import discard_partial

STOPPING = (signal.SIGTERM, signal.SIGUSR1)  # what clusters send before they kill


def start(
    log_path: str,
    threads: int,
    outputs: Iterable[str] = (),
    stop_code: int | None = None,
    append: bool = False,
    level: int = logging.INFO,
) -> None:
    """Set threads, deterministic kernels on a CPU, logging to a file and the terminal, and an orderly end; clear up.

    Args:
        log_path: The job's log.
        threads: That torch may use, if it is imported by then. Results depend on it in the last bits, so it is part of what a
            run is.
        outputs: Of the job: what an earlier attempt that was killed left half-written beside them is removed. Snakemake's lock
            on the folder keeps two jobs from writing one output.
        stop_code: Exit code after SIGTERM or SIGUSR1; None for 128 + the signal's number.
        append: Whether another process of the job has begun the log.
        level: What is logged at least.
    """
    sys.excepthook = _report  # first: of a full disk or read-only results, the log itself may tell
    torch = sys.modules.get("torch")  # jobs that only read tables never load it, which would take longer than they do
    if torch is not None:
        torch.set_num_threads(threads)
        if not torch.cuda.is_available():  # on a GPU no bits are promised, and such kernels are several times slower
            # Not by use_deterministic_algorithms, which loads torch's compiler: seconds a job.
            torch.set_deterministic_debug_mode("warn")
    Path(log_path).parent.mkdir(parents=True, exist_ok=True)
    handlers: list[logging.Handler] = [logging.FileHandler(log_path, mode="a" if append else "w")]
    if not sys.stderr.isatty():  # a terminal shows progress bars instead
        handlers.append(logging.StreamHandler())
    logging.basicConfig(level=level, format="%(asctime)s  %(message)s", handlers=handlers, force=True)
    for output in outputs:
        discard_partial(output)

    def stop(number: int, _frame: FrameType | None) -> None:
        """Leave as from any error, so that half-written outputs are removed; a second signal must not interrupt that."""
        for each in STOPPING:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number if stop_code is None else stop_code)

    for number in STOPPING:
        signal.signal(number, stop)


def announce(text: str) -> None:
    """Log a sentence, and print it to a person at a terminal, where the log goes to its file alone."""
    logging.getLogger().info(text)
    if sys.stderr.isatty():
        print(text, file=sys.stderr)


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Log an uncaught error: one sentence where the user can mend it, the traceback for anything else."""
    expected = isinstance(error, InputError) or is_of_machine(error)
    text = sentence(error) if expected else str(error)
    logging.getLogger().error("%s: %s", kind.__name__, text, exc_info=None if expected else (kind, error, trace))
    if sys.stderr.isatty() and logging.getLogger().handlers:  # without any, the line above went to the terminal
        print(f"{kind.__name__}: {text}", file=sys.stderr)
