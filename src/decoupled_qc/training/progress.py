"""How far a training has come: what a checkpoint holds besides weights, and its tables."""

import csv
import json
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from decoupled_qc.files import write_whole
from decoupled_qc.training.ladder import Ladder

log = logging.getLogger(__name__)


@dataclass
class Progress:
    """The place in a training.

    Args:
        ladder: Of epsilon and the learning rate.
        step: The next.
        rows, looks: Of ``metrics.csv`` and ``held_out.csv`` so far.
        looks_of: Names the scans that were looked at.
        skipped, skipped_in_a_row: Steps whose loss or gradient was not finite.
    """

    ladder: Ladder
    step: int = 0
    rows: list[dict[str, float]] = field(default_factory=list)
    looks: list[dict[str, float | str]] = field(default_factory=list)
    looks_of: str = ""
    skipped: int = 0
    skipped_in_a_row: int = 0

    def state(self) -> dict:
        """Return everything as numbers in mappings and lists."""
        return vars(self) | {"ladder": vars(self.ladder)}

    def load(self, state: dict) -> None:
        """Take over what :meth:`state` returned."""
        vars(self.ladder).update(state["ladder"])
        vars(self).update(state | {"ladder": self.ladder})

    def look_at(self, key: str) -> None:
        """Drop the looks so far if they were at other scans, see :class:`decoupled_qc.training.held_out.HeldOut`."""
        if self.looks_of != key:
            self.looks_of, self.looks = key, []

    def trim_skipped(self, checkpoint: Path) -> None:
        """Leave of the list of skipped steps those before this place: others are of an earlier training, or come again."""
        file = _skipped_file(checkpoint)
        if not self.skipped:
            file.unlink(missing_ok=True)
        elif file.is_file():
            lines = file.read_text().splitlines(keepends=True)[: self.skipped]
            with write_whole(file) as temporary:
                temporary.write_text("".join(lines))

    def skip(self, samples: list[dict], checkpoint: Path, most: int, *, writes: bool) -> None:
        """Count this step as skipped and save what its batch was made from beside the checkpoint; at the end also the metrics.

        Args:
            samples: Origins of all samples, see :class:`decoupled_qc.training.sampling.Batch`.
            checkpoint: The training's.
            most: That may be skipped in a row.
            writes: Whether this process writes files.

        Raises:
            FloatingPointError: It is one more than ``most`` in a row.
        """
        self.skipped += 1
        self.skipped_in_a_row += 1
        file = _skipped_file(checkpoint)
        if writes:
            file.parent.mkdir(parents=True, exist_ok=True)
            with open(file, "a") as lines:
                lines.write(json.dumps({"step": self.step, "samples": samples}) + "\n")
            log.warning("Step %d: the loss or a gradient is not finite; skipped, see %s.", self.step, file)
        if self.skipped_in_a_row > most:
            metrics = checkpoint.with_suffix(".metrics.csv")  # its own folder goes with the training
            if writes:
                with MetricsTable(metrics, self.rows):
                    pass
            raise FloatingPointError(
                f"The loss or a gradient was not finite in {self.skipped_in_a_row} steps in a row, the last being {self.step}: "
                f"lower training.learning_rate, or look at the samples listed in {file} and at {metrics}."
            )


def _skipped_file(checkpoint: Path) -> Path:
    return checkpoint.with_suffix(".skipped.jsonl")


class MetricsTable:
    """A table of a training, written row by row, beginning with the rows of earlier stretches.

    Args:
        path: The file; None in a process that writes none.
        rows: Earlier rows; new ones are added to this list.
    """

    def __init__(self, path: Path | None, rows: list[dict]):
        self.rows = rows
        self._file = open(os.devnull if path is None else path, "w", newline="")  # noqa: SIM115, closed on leaving
        self._writer: csv.DictWriter | None = None
        self._write(rows)

    def __enter__(self) -> "MetricsTable":
        """Write on; the file is closed at the end."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the file."""
        self._file.close()

    def add(self, *rows: dict) -> None:
        """Write rows, and on to the disk."""
        self.rows += rows
        self._write(rows)
        self._file.flush()

    def _write(self, rows: Iterable[dict]) -> None:
        for row in rows:
            if self._writer is None:
                self._writer = csv.DictWriter(self._file, row)
                self._writer.writeheader()
            self._writer.writerow(row)
