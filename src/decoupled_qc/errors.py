"""Errors a user can act on."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


class InputError(ValueError):
    """Input that cannot be used: the message is one sentence naming the file, key or row, and what to do.

    It is on one line, whatever another library's message in it looks like, since it goes into tables, too.
    """

    def __str__(self) -> str:
        """Return the message on one line."""
        return " ".join(super().__str__().split())


class ResourceError(RuntimeError):
    """The machine lacks something, such as disk space or memory: the message is one sentence on what, and what to do."""


@contextmanager
def naming(what: object) -> Iterator[None]:
    """Put what an error on input is about, a file or an image, before its message."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{what}: {error}") from error


def is_of_machine(error: BaseException) -> bool:
    """Say whether the machine lacks something: memory, space, or permission."""
    lacking = isinstance(error, OSError) and error.errno in (*FULL, *READ_ONLY)
    return lacking or isinstance(error, ResourceError | MemoryError)


def exit_code(error: BaseException) -> int:
    """Return 2 for input that cannot be used, 3 for what the machine lacks, 1 for anything else."""
    if isinstance(error, InputError):
        return 2
    return 3 if is_of_machine(error) else 1


def sentence(error: BaseException) -> str:
    """Return one sentence on an error, on one line: what went wrong, and what to do."""
    if isinstance(error, InputError | ResourceError):
        text = str(error)
    elif isinstance(error, MemoryError):
        text = "The machine's memory is not enough for this: close other programs, or use a smaller input."
    elif isinstance(error, OSError) and error.errno in FULL:
        text = f"{_place(error)} cannot be written, the disk or your quota is full: free some space and run the same again."
    elif isinstance(error, OSError) and error.errno in READ_ONLY:
        text = f"{_place(error)} cannot be read or written ({error.strerror}): correct its permissions, or choose another folder."
    elif isinstance(error, OSError):
        text = f"{_place(error)} cannot be used ({error.strerror or error}): check the name and the disk."
    else:
        text = f"This should not have happened ({type(error).__name__}: {error}): report it, with what --debug shows."
    return " ".join(text.split())


def _place(error: OSError) -> str:
    return str(error.filename2 or error.filename or "A file")
