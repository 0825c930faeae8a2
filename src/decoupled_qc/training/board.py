"""A training as TensorBoard shows it: the terms of the loss, the variances, and a slice of a held-out patch."""

from collections.abc import Iterable
from pathlib import Path

from tensorboardX import SummaryWriter
from torch import Tensor

FOLDER = "tensorboard"  # in a network's folder


class Board:
    """Event files of a training, beginning with the rows of earlier stretches; pictures of those are gone.

    Args:
        folder: Of the network; None in a process that writes none.
        rows, looks: Of ``metrics.csv`` and ``held_out.csv`` so far.
    """

    def __init__(self, folder: Path | None, rows: Iterable[dict], looks: Iterable[dict]):
        self._writer = None if folder is None else SummaryWriter(str(folder / FOLDER), flush_secs=30)
        for row in rows:
            self.add_terms(row)
        self.add_looks(looks)

    def __enter__(self) -> "Board":
        """Write on; the files are closed at the end."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the files."""
        if self._writer:
            self._writer.close()

    def add_terms(self, row: dict[str, float]) -> None:
        """Draw a row of ``metrics.csv``."""
        self._add("training", row)

    def add_looks(self, rows: Iterable[dict[str, float | str]]) -> None:
        """Draw rows of ``held_out.csv``, a curve for each input."""
        for row in rows:
            self._add(f"held_out_{row['input']}", row)

    def add_picture(self, step: int, picture: Tensor) -> None:
        """Show a picture, (H, W), [0, 1]."""
        if self._writer:
            self._writer.add_image("held_out", picture.cpu().numpy(), step, dataformats="HW")

    def _add(self, group: str, row: dict[str, float | str]) -> None:
        if self._writer:
            for name, value in row.items():
                if name not in ("step", "input", "n_scans"):
                    self._writer.add_scalar(f"{group}/{name}", value, row["step"])
