"""How far a training has come: what a checkpoint holds besides weights, and ``metrics.csv``."""

import csv
import json
import logging
from dataclasses import dataclass, field
from pathlib import Path

from decoupled_qc.ladder import Ladder
from decoupled_qc.sampling import Batch

log = logging.getLogger(__name__)


@dataclass
class Progress:
    """The place in a training.

    Args:
        ladder: Of epsilon and the learning rate.
        step: The next.
        rows: Of ``metrics.csv`` so far.
        skipped, skipped_in_a_row: Steps whose loss or gradient was not finite.
    """

    ladder: Ladder
    step: int = 0
    rows: list[dict[str, float]] = field(default_factory=list)
    skipped: int = 0
    skipped_in_a_row: int = 0

    def state(self) -> dict:
        """Return everything as numbers in mappings and lists."""
        return vars(self) | {"ladder": vars(self.ladder)}

    def load(self, state: dict) -> None:
        """Take over what :meth:`state` returned."""
        vars(self.ladder).update(state["ladder"])
        vars(self).update(state | {"ladder": self.ladder})

    def skip(self, batch: Batch, checkpoint: Path, most: int) -> None:
        """Count this step as skipped and save what its batch was made from beside the checkpoint.

        Raises:
            FloatingPointError: It is one more than ``most`` in a row.
        """
        self.skipped += 1
        self.skipped_in_a_row += 1
        file = checkpoint.with_suffix(".skipped.jsonl")
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, "a") as lines:
            lines.write(json.dumps({"step": self.step, "samples": batch.origins}) + "\n")
        log.warning("Step %d: the loss or a gradient is not finite; skipped, see %s.", self.step, file)
        if self.skipped_in_a_row > most:
            raise FloatingPointError(
                f"The loss or a gradient was not finite in {self.skipped_in_a_row} steps in a row, the last being {self.step}: "
                f"lower training.learning_rate, or look at the samples listed in {file}."
            )


class MetricsTable:
    """``metrics.csv``, written row by row, beginning with the rows of earlier stretches.

    Args:
        path: The file.
        rows: Earlier rows; new ones are added to this list.
    """

    def __init__(self, path: Path, rows: list[dict[str, float]]):
        self.rows = rows
        self._file = open(path, "w", newline="")  # noqa: SIM115, closed on leaving
        self._writer: csv.DictWriter | None = None
        for row in rows:
            self._write(row)

    def __enter__(self) -> "MetricsTable":
        """Write on; the file is closed at the end."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the file."""
        self._file.close()

    def add(self, row: dict[str, float]) -> None:
        """Write a row, and on to the disk."""
        self.rows.append(row)
        self._write(row)
        self._file.flush()

    def _write(self, row: dict[str, float]) -> None:
        if self._writer is None:
            self._writer = csv.DictWriter(self._file, row)
            self._writer.writeheader()
        self._writer.writerow(row)
