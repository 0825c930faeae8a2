"""Errors a user can act on."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

FAULT, INPUT_FAILED, RESOURCE_FAILED, INTERRUPTED = 1, 2, 3, 130  # exit codes; the last is of Ctrl-C
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
OF_TORCH = ("DefaultCPUAllocator", "out of memory")  # in what PyTorch says, whose error is a mere RuntimeError


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
    return lacking or isinstance(error, ResourceError) or lacks_memory(error)


def lacks_memory(error: BaseException) -> bool:
    """Say whether an error, or what led to it, is that memory was not enough, of the machine or of its GPU.

    Args:
        error: As caught; a reader may have turned the lack into a message on the file, raised from it.
    """
    return any(map(_says_so, (error, error.__cause__)))


def _says_so(error: BaseException | None) -> bool:
    by_torch = isinstance(error, RuntimeError) and any(words in str(error) for words in OF_TORCH)
    return by_torch or isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)


def exit_code(error: BaseException) -> int:
    """Return the exit code of an error: of input that cannot be used, of what the machine lacks, or of a fault of ours."""
    if is_of_machine(error):
        return RESOURCE_FAILED
    return INPUT_FAILED if isinstance(error, InputError) else FAULT


def sentence(error: BaseException) -> str:
    """Return one sentence on an error, on one line: what went wrong, and what to do."""
    if isinstance(error, ResourceError):
        text = str(error)
    elif lacks_memory(error):
        text = "The machine's memory is not enough for this: close other programs, or use a smaller input."
    elif isinstance(error, InputError):
        text = str(error)
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
