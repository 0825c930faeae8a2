"""Memory that was not enough, as whoever lacks it says so."""

import errno

OF_TORCH = ("DefaultCPUAllocator", "out of memory")  # in what PyTorch says, whose error is a mere RuntimeError


def lacks_memory(error: BaseException) -> bool:
    """Say whether an error, or what led to it, is that memory was not enough, of the machine or of its GPU.

    Args:
        error: As caught; a reader may have turned the lack into a message on the file, raised from it.
    """
    return any(map(_says_so, (error, error.__cause__)))


def _says_so(error: BaseException | None) -> bool:
    by_torch = isinstance(error, RuntimeError) and any(words in str(error) for words in OF_TORCH)
    return by_torch or isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
