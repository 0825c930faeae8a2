"""Outputs appear under their final name only when whole."""

import glob
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from decoupled_qc.errors import InputError


@contextmanager
def write_whole(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` on success, remove it on failure.

    Works for a file and for a folder (create the folder at the yielded path). An existing target is replaced, but never a
    folder by a file.

    Args:
        path: Final name. The temporary name keeps the suffixes, which writers such as nibabel look at.

    Raises:
        InputError: A file was written, and a folder has its name.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".partial-{uuid.uuid4().hex[:8]}-{target.name}")
    try:
        yield temporary
        if target.is_dir() and not temporary.is_dir():
            raise InputError(f"{target} is a folder, which no file replaces: give the name of a file.")
        if target.is_dir():
            shutil.rmtree(target)
        os.replace(temporary, target)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def size_and_time(path: str | os.PathLike) -> str:
    """Return a file's size in bytes and time in nanoseconds, "none" without one, so that a lost or a changed file is noticed."""
    try:
        about = os.stat(path)
        return f"{about.st_size} {about.st_mtime_ns}"
    except OSError:
        return "none"


def discard_partial(path: str | os.PathLike) -> None:
    """Remove what :func:`write_whole` left beside ``path`` when its process was killed; nobody may be writing it."""
    target = Path(path)
    for left in target.parent.glob(f".partial-????????-{glob.escape(target.name)}"):
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()
