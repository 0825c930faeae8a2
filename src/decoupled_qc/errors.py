"""Errors a user can act on."""


class InputError(ValueError):
    """Input that cannot be used: the message is one sentence naming the file, key or row, and what to do."""
