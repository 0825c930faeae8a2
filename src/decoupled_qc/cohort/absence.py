"""How a folder says that what it should hold could not be had: the stages after it then do without."""

from pathlib import Path

FILE = "ABSENT.txt"


def mark_absent(folder: Path, reason: str) -> None:
    """Let an existing folder say why it is empty."""
    (folder / FILE).write_text(reason + "\n")


def absence(folder: Path) -> str | None:
    """Return why a folder is empty, or None if it holds what it should."""
    file = folder / FILE
    return file.read_text().strip() if file.exists() else None
