"""Errors a user can act on."""


class InputError(ValueError):
    """Input that cannot be used: the message is one sentence naming the file, key or row, and what to do."""


class ResourceError(RuntimeError):
    """The machine lacks something, such as disk space or memory: the message is one sentence on what, and what to do."""
