"""A training that can be interrupted at any moment and goes on where it was."""

import hashlib
import io
import json
import logging
import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType

import torch

from decoupled_qc.files import discard_partial, write_whole
from decoupled_qc.jobs import STOPPING
from decoupled_qc.training.parallel import ALONE, Team

log = logging.getLogger(__name__)

RESTART = 85  # a job that stopped as it was told to and wants to be started again; Linux's ERESTART


class Checkpoint:
    """The state of a training in one file beside the results, and the signals that ask the training to stop.

    The file is no output of the job, since a failed job's outputs are removed. It counts only for the same training:
    ``key`` must be the same. It appears under its name only when whole, and is read without unpickling anything; a damaged one is
    set aside.

    As a context manager it takes SIGTERM and SIGUSR1: :meth:`keep` then saves and leaves with ``RESTART``, between two
    steps and not in the middle of one.

    Args:
        path: The file.
        minutes: Between two savings; what a SIGKILL loses at most.
        key: Names the training, see :func:`key_of`.
        team: The processes of the training: the first saves, and all stop after the same step.
    """

    def __init__(self, path: Path, minutes: float, key: str, team: Team = ALONE):
        self.path = path
        self.minutes = minutes
        self.key = key
        self.team = team
        self._saved = time.monotonic()
        self._signal: int | None = None
        self._handlers: dict[int, object] = {}

    def __enter__(self) -> "Checkpoint":
        """Take the signals."""
        self._handlers = {number: signal.signal(number, self._take) for number in STOPPING}
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        """Give the signals back, or stop."""
        stopping = self._signal is not None
        for number, handler in self._handlers.items():
            signal.signal(number, signal.SIG_IGN if stopping else handler)  # a second signal must not disturb the end
        if stopping and kind is None:
            raise SystemExit(RESTART)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        self._signal = number

    def load(self) -> dict | None:
        """Return the saved state of this very training, tensors on the CPU; None if there is none, or only a damaged one.

        Raises:
            OSError, MemoryError: The machine cannot read the file now, which says nothing against it.
        """
        if self.team.first:
            discard_partial(self.path)
        try:
            content = io.BytesIO(self.path.read_bytes())  # first, as torch gives an error of the disk no other type
        except FileNotFoundError:
            return None
        try:
            saved = torch.load(content, map_location="cpu", weights_only=True)
            same = saved["key"] == self.key
        except (OSError, MemoryError):
            raise
        except Exception as error:  # whatever a damaged file makes torch raise
            if self.team.first:
                aside = self.path.with_name(f"{self.path.name}.damaged")
                os.replace(self.path, aside)
                why = f"{type(error).__name__} {error}".partition("\n")[0]
                log.warning("%s is damaged (%s) and now %s: starting from the first step.", self.path, why, aside.name)
            return None
        if not same:
            log.info(
                "%s is of another configuration, other code or other data: starting from the first step.", self.path
            )
            return None
        threads = torch.get_num_threads()
        if saved["threads"] != threads and self.team.first:
            log.warning(
                "The training was on %d CPU threads and goes on with %d: its last bits will be others than without a stop.",
                saved["threads"],
                threads,
            )
        return saved["state"]

    def keep(self, state: Callable[[], dict], *, now: bool = False) -> None:
        """Save the state if ``minutes`` have passed since the last time, if told to stop, or if ``now``.

        Args:
            state: Gives tensors, numbers and text, in lists and mappings.
            now: Save in any case.

        Raises:
            SystemExit: SIGTERM or SIGUSR1 came; the code is ``RESTART``.
        """
        told = self.team.any(self._signal is not None)
        due = now or told or time.monotonic() - self._saved >= 60 * self.minutes
        if due and self.team.first:
            with write_whole(self.path) as temporary, open(temporary, "wb") as file:
                torch.save({"key": self.key, "threads": torch.get_num_threads(), "state": state()}, file)
                file.flush()
                os.fsync(file.fileno())
            self._saved = time.monotonic()
        if told:
            log.info("Told to stop: the state is saved in %s.", self.path)
            raise SystemExit(RESTART)


def key_of(blocks: dict, files: Iterable[Path]) -> str:
    """Return a hash that names a training: its settings and the contents of the files that it reads.

    Args:
        blocks: JSON-serialisable: config blocks and the code's fingerprint.
        files: Weights of frozen networks, images and labels.
    """
    digest = hashlib.blake2b(json.dumps(blocks, sort_keys=True).encode(), digest_size=16)
    for path in files:
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "blake2b").digest())
    return digest.hexdigest()
